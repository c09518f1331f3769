"""Conditions from the cells of a table: classes, or numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hvae_core.errors import DataError
from hvae_core.interfaces import ConditionColumn


class MissingColumnError(DataError):
    """A table has no such column."""


def column_of_split(
    split: str,
    splits: Iterable[str],
    name: str | tuple[str, ...],
    read: Callable[[str], tuple[Mapping[str, Sequence[Any]], tuple[str, ...]]],
    where: str = "the data set",
) -> ConditionColumn:
    """What columns say of each image of a split; texts are the same classes in every split.

    Those of ``train`` count from 0 in alphabetical order, whatever other splits there are; then
    come those that others alone have.

    Args:
        split: whose images.
        splits: all that there are.
        name: a column, or several, see `column_of_cells`.
        read: the cells of these columns in a split, and the names of the classes, where they are
            known; raises `MissingColumnError` where there are none.
        where: names the split's table in messages.

    Raises:
        DataError: see `column_of_cells`; or another split cannot be read.
    """
    cells, classes = read(split)

    def texts_of(other: str) -> set[str]:
        try:
            column = (cells if other == split else read(other)[0])[str(name)]
        except MissingColumnError:
            return set()
        return {cell for cell in column if isinstance(cell, str)}

    texts: tuple[str, ...] = ()
    if isinstance(name, str) and any(isinstance(cell, str) for cell in cells[name]):
        first = sorted(texts_of("train")) if "train" in splits else []
        others = () if split == "train" else (texts_of(one) for one in splits if one != "train")
        texts = (*first, *sorted(set().union(*others).difference(first)))
    return column_of_cells(cells, name, texts or classes, where)


def column_of_cells(
    cells: Mapping[str, Sequence[Any]],
    name: str | tuple[str, ...],
    classes: tuple[str, ...] = (),
    where: str = "the data set",
) -> ConditionColumn:
    """What columns of a table say of each image.

    Args:
        cells: of each column that ``name`` names; an empty one is None.
        name: a column of whole numbers (classes), of texts (the classes in alphabetical order) or
            of numbers; or several columns of numbers.
        classes: the names of the classes, where they are known; they number texts, too.
        where: names the table in messages.

    Raises:
        DataError: a cell is empty where classes are expected, or the columns hold something else.
    """
    if isinstance(name, str):
        column = cells[name]
        texts = [isinstance(cell, str) for cell in column]
        whole = [isinstance(cell, int | np.integer) for cell in column]
        empty = [cell is None for cell in column]
        for kind in (texts, whole):
            if any(kind) and any(empty) and all(map(any, zip(kind, empty, strict=True))):
                raise DataError(
                    f"Row {empty.index(True)} has no {name!r} in {where}.",
                    "Give every image a class, or leave out those without.",
                )
        if all(texts):
            known = classes if set(classes).issuperset(column) else tuple(sorted(set(column)))
            numbers = {found: number for number, found in enumerate(known)}
            return ConditionColumn(np.array([numbers[c] for c in column], np.int64), known)
        if all(whole):
            try:
                return ConditionColumn(np.asarray(column, np.int64), classes)
            except OverflowError:
                raise DataError(
                    f"The column {name!r} of {where} has a whole number of more than 63 bits; "
                    "expected classes, which count from 0.",
                    "Name a column of classes, or columns of numbers, with data.condition.",
                ) from None
    names = [name] if isinstance(name, str) else list(name)
    try:
        values = np.array([cells[n] for n in names], np.float64).T
        if values.ndim != 2:
            raise ValueError("the cells are lists")
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"The columns {', '.join(names)} of {where} hold no numbers.",
            "Name columns of numbers, or one of classes, with data.condition.",
        ) from None
    return ConditionColumn(values, tuple(names))
