"""Conditions from the cells of a table: classes, or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hvae_core.errors import DataError
from hvae_core.interfaces import ConditionColumn


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
        classes: the names of the classes, where they are known.
        where: names the table in messages.

    Raises:
        DataError: a cell is empty where classes are expected, or the columns hold something else.
    """
    if isinstance(name, str):
        column = cells[name]
        if all(isinstance(cell, str) for cell in column):
            found = tuple(sorted(set(column)))
            return ConditionColumn(np.array([found.index(c) for c in column], np.int64), found)
        whole = [isinstance(cell, int | np.integer) for cell in column]
        empty = [cell is None for cell in column]
        if any(whole) and all(map(any, zip(whole, empty, strict=True))):
            if any(empty):
                raise DataError(f"Row {empty.index(True)} has no {name!r}.")
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
