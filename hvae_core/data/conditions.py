"""The conditions of a data set's images: labels, or numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import BadInputError, DataError
from hvae_core.interfaces import ConditionColumn, ConditionValues, Dataset

if TYPE_CHECKING:
    from hvae_core.config import Config

#: what a conditional model is given where ``data.condition`` does not say
LABEL = "label"


class Conditions:
    """The conditions of a split's images, as graphs take them.

    Args:
        values: what the model's are.
        encoded: [N, ...] of the split.
    """

    def __init__(self, values: ConditionValues, encoded: np.ndarray) -> None:
        self.values, self.encoded = values, encoded

    def batch(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """The conditions of the images at ``indices``: [b, ...].

        Args:
            indices: the images'.
            rng: decides which become the null condition, in training; None: none does.
        """
        chosen = self.encoded[indices]
        if rng is None or not self.values.dropout:
            return chosen
        is_null = rng.random(len(chosen)) < self.values.dropout
        shaped = is_null.reshape(-1, *[1] * (chosen.ndim - 1))
        return np.where(shaped, self.values.nulls(len(chosen)), chosen)


def open_conditions(
    values: ConditionValues | None, dataset: Dataset, split: str, count: int
) -> Conditions | None:
    """The conditions of a split, or None where the model has none.

    Args:
        values: what the model's are; None: it has none.
        dataset: the data set, whose ``conditioned_on`` says which of its columns they are.
        split: one of its splits.
        count: images in it.

    Raises:
        DataError: the data set has none, or they are not such as the model's.
    """
    if values is None:
        return None
    name = dataset.conditioned_on or LABEL
    column = dataset.condition(name, split)
    given = np.asarray(column.values)
    shown = name if isinstance(name, str) else ", ".join(name)
    where = f"The condition {shown!r} of the split {split!r}"
    check_entries(given, count, where)
    is_class = given.ndim == 1 and given.dtype.kind in "iu"
    if values.form == "class":
        if not is_class:
            raise DataError(
                f"{where} holds {given.dtype} of shape {list(given.shape)}; expected a class, a "
                "whole number, for each image.",
                "For real numbers choose model.condition.name=vector.",
            )
        classes = _by_name(given, values.names, column.names)
        if classes is None:
            check_classes(given, values.size, where)
            _check_names(values, column, where)
            classes = given
        return Conditions(values, classes.astype(np.int32))
    if given.dtype.kind not in "iufb":
        raise DataError(f"{where} holds {given.dtype}; expected numbers.")
    numbers = given.reshape(count, -1).astype(np.float64)
    try:
        return Conditions(values, values.encode(numbers, count, where))
    except BadInputError as error:
        raise DataError(error.message, error.hint) from error


def described_condition(config: Config, dataset: Dataset, split: str) -> Config:
    """The configuration with what the data set tells of its condition's values.

    That is their names, and of numbers the means, where the condition has an option ``names`` or
    ``typical`` that is not set.

    Args:
        config: of a run.
        dataset: its data set.
        split: one of its splits.

    Raises:
        DataError: the data set has no such condition.
    """
    condition = config.model.condition
    values = config.model.condition_values
    if condition is None or values is None:
        return config
    options = condition.options
    unset = [key for key in ("names", "typical") if getattr(options, key, "other") is None]
    if not unset:
        return config
    column = dataset.condition(dataset.conditioned_on or LABEL, split)
    told: dict[str, Any] = {}
    if "names" in unset and len(column.names) == values.size:
        told["names"] = list(column.names)
    if "typical" in unset and (means := _means(column, values)) is not None:
        told["typical"] = means
    if not told:
        return config
    model = config.model.model_copy(update={"condition": condition.with_options(**told)})
    return config.model_copy(update={"model": model})


def _means(column: ConditionColumn, values: ConditionValues) -> list[float] | None:
    """The mean of each number where it is known; None where one never is."""
    given = np.asarray(column.values)
    if values.form != "numbers" or given.dtype.kind not in "iufb" or not given.size:
        return None
    numbers = given.reshape(len(given), -1).astype(np.float64)
    known = np.isfinite(numbers)
    if numbers.shape[1] != values.size or not known.any(axis=0).all():
        return None
    means = np.where(known, numbers, 0.0).sum(axis=0) / known.sum(axis=0)
    return [float(f"{mean:.6g}") for mean in means]


def check_entries(values: np.ndarray, count: int, where: str) -> None:
    """Refuse a column that has not an entry for each image, before one is looked up in it.

    Args:
        values: the column.
        count: images there are.
        where: names it in the message.

    Raises:
        DataError: it has fewer or more, or is a single value.
    """
    if values.ndim == 0 or len(values) != count:
        entries = "is a single value" if values.ndim == 0 else f"has {len(values)} entries"
        raise DataError(
            f"{where} {entries} for {count} images.",
            "Give one entry for each image, in their order.",
        )


def check_classes(given: np.ndarray, size: int, where: str) -> None:
    """Refuse labels that are none of a model's classes."""
    low, high = (int(given.min()), int(given.max())) if len(given) else (0, 0)
    if low < 0:
        raise DataError(
            f"{where} has the class {low}; classes count from 0.",
            "Images without a label cannot be conditioned on it: leave the split out.",
        )
    if high >= size:
        raise DataError(
            f"{where} has the class {high}; the model has the classes 0 to {size - 1}.",
            f"Set model.condition.classes={high + 1}",
        )


def _by_name(
    given: np.ndarray, ours: tuple[str, ...], theirs: tuple[str, ...]
) -> np.ndarray | None:
    """The model's numbers of a data set's classes; None where their names do not say them all.

    Args:
        given: the data set's numbers [N].
        ours: the names of the model's classes, as far as they are known.
        theirs: those of the data set's.
    """
    used = np.unique(given)
    if not len(used) or used[0] < 0 or used[-1] >= len(theirs) or len(set(theirs)) < len(theirs):
        return None
    numbers = {name: number for number, name in enumerate(ours)}
    if any(theirs[number] not in numbers for number in used):
        return None
    return np.asarray([numbers.get(name, -1) for name in theirs])[given]


def _check_names(values: ConditionValues, column: ConditionColumn, where: str) -> None:
    """Refuse a data set that counts the model's classes in another order."""
    pairs = enumerate(zip(values.names, column.names, strict=False))
    for place, (ours, theirs) in pairs:
        if ours != theirs:
            raise DataError(
                f"{where} calls class {place} {theirs!r}; the model calls it {ours!r}.",
                "Give the data set whose classes the model was trained with, in their order.",
            )
