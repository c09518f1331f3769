"""The contract of conditions: what their values are, as given and in graphs, and an embedding."""

from __future__ import annotations

import abc
import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from hvae_core.errors import BadInputError, did_you_mean
from hvae_core.interfaces.outputs import Tensor

#: names that a message lists
_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class ConditionValues:
    """What a condition is a choice of, or the numbers that it is made of.

    Graphs are given classes as int32 [B]; numbers as float32 [B, 2 size]: the numbers, an unknown
    one as 0, and then for each 1 where it is known, else 0. The null condition is the class
    ``size``; of numbers it is that none is known.

    Args:
        form: ``class``: one of ``size`` classes; ``numbers``: ``size`` real numbers, of which
            NaN is unknown.
        size: how many.
        names: of the classes or of the numbers; may be empty.
        dropout: the part of training images that had the null condition; with 0 there is none.
        typical: numbers to show a model under where none are asked for, one for each of ``size``;
            empty where they are not known.
    """

    form: Literal["class", "numbers"]
    size: int
    names: tuple[str, ...] = ()
    dropout: float = 0.0
    typical: tuple[float, ...] = ()

    @property
    def has_null(self) -> bool:
        """Whether there is a null condition: that of an image of which nothing is said."""
        return self.dropout > 0

    @property
    def dtype(self) -> str:
        """Of the values in graphs."""
        return "int32" if self.form == "class" else "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one condition in graphs, without the batch."""
        return () if self.form == "class" else (2 * self.size,)

    def nulls(self, count: int) -> np.ndarray:
        """So many null conditions, as graphs take them."""
        fill = self.size if self.form == "class" else 0
        return np.full((count, *self.shape), fill, self.dtype)

    def encode(self, given: Any, count: int, name: str = "condition") -> np.ndarray:
        """The conditions of ``count`` images, as graphs take them: [count, ...].

        Args:
            given: one condition for all images, or a sequence with one for each. Of classes a
                number or a name; of numbers a sequence of ``size``, or a mapping of names to
                numbers, where what it lacks is unknown. None is the null condition.
            count: how many images.
            name: of the argument, for messages.

        Raises:
            BadInputError: it is none of these, or there is no null condition.
        """
        if self.form == "class":
            return self._encode_classes(given, count, name)
        return self._encode_numbers(given, count, name)

    def _encode_classes(self, given: Any, count: int, name: str) -> np.ndarray:
        if isinstance(given, np.ndarray):
            is_whole = given.dtype.kind in "iu" and given.shape == (count,) and count > 0
            if is_whole and given.min() >= 0 and given.max() < self.size:
                return given.astype(np.int32)  # no Python object for each of many images
            given = given.item() if given.ndim == 0 else given
        is_one = given is None or isinstance(given, str | numbers.Number)
        if is_one:
            return np.full(count, self._class(given, name), np.int32)
        entries = _as_list(given, name)
        if len(entries) != count:
            raise BadInputError(
                f"{name} has {len(entries)} classes for {count} images.",
                "Give one class for all images, or one for each.",
            )
        return np.asarray(
            [self._class(entry, f"{name}[{place}]") for place, entry in enumerate(entries)],
            np.int32,
        ).reshape(count)

    def _class(self, given: Any, name: str) -> int:
        if given is None:
            self._check_null(name)
            return self.size
        if isinstance(given, str) and given in self.names:
            return self.names.index(given)
        try:
            number = float(given)
        except (TypeError, ValueError):
            number = np.nan
        if not isinstance(given, bool | np.bool_) and number in range(self.size):
            return int(number)
        raise BadInputError(
            f"{name} is {given!r}; expected a class from 0 to {self.size - 1}"
            + (f" or its name, such as {self.names[0]!r}." if self.names else "."),
            did_you_mean(given, self.names) if self._is_misspelt(given) else "",
        )

    def _is_misspelt(self, given: Any) -> bool:
        """Whether it may be meant for a name: a number is none."""
        return isinstance(given, str) and bool(self.names) and not given.lstrip("+-").isdigit()

    def _encode_numbers(self, given: Any, count: int, name: str) -> np.ndarray:
        if given is None:
            self._check_null(name)
            return self.nulls(count)
        is_one = isinstance(given, Mapping)
        if not is_one and not isinstance(given, np.ndarray):
            entries = _as_list(given, name)
            is_each = any(e is None or isinstance(e, Mapping | Sequence) for e in entries)
            is_each = is_each or any(np.ndim(entry) for entry in entries)
            given = [self._numbers(entry, name) for entry in entries] if is_each else entries
        values = self._numbers(given, name) if is_one else _floats(given, name)
        if values.ndim == 1:
            values = np.broadcast_to(values, (count, *values.shape))
        if values.shape != (count, self.size):
            raise BadInputError(
                f"{name} has shape {list(values.shape)}; expected {self.size} numbers for all "
                f"images, or [{count}, {self.size}]"
                + (f": {', '.join(self.names[:_SHOWN])}." if self.names else "."),
            )
        if np.isinf(values).any():
            raise BadInputError(
                f"{name} holds infinite numbers.", "Give NaN for what is not known."
            )
        is_known = ~np.isnan(values)
        return np.concatenate([np.where(is_known, values, 0), is_known], axis=1).astype(np.float32)

    def _numbers(self, given: Any, name: str) -> np.ndarray:
        """One condition: [size], NaN where it is unknown."""
        if given is None:
            self._check_null(name)
            return np.full(self.size, np.nan)
        if not isinstance(given, Mapping):
            return _floats(given, name)
        if unknown := [key for key in given if key not in self.names]:
            raise BadInputError(
                f"{name} has {unknown[0]!r}, which is none of its numbers.",
                did_you_mean(str(unknown[0]), self.names) if self.names else "They have no names.",
            )
        return _floats([given.get(key, np.nan) for key in self.names], name)

    def _check_null(self, name: str) -> None:
        if not self.has_null:
            raise BadInputError(
                f"{name} is None, the null condition, which this model was not trained with.",
                "Train it with model.condition.dropout=0.1, or give a condition.",
            )

    def decode(self, encoded: np.ndarray | None) -> Any:
        """What `encode` was given: classes [B], or numbers [B, size], NaN where unknown."""
        if encoded is None or self.form == "class":
            return encoded
        return np.where(encoded[:, self.size :] > 0, encoded[:, : self.size], np.nan)

    def examples(self, count: int) -> np.ndarray:
        """Conditions to show a model with: the classes in turn; the typical numbers.

        Where those are not known, or the model knows the null condition: that no number is known.
        """
        if self.form == "class":
            return np.arange(count) % self.size
        # Of a model that was never trained with unknown numbers, they would show something else.
        shown = self.typical if self.typical and not self.has_null else [np.nan] * self.size
        return np.tile(np.asarray(shown, np.float64), (count, 1))

    def describe(self) -> str:
        """In words: ``a class from 0 to 9 (airplane, automobile, ...)``."""
        shown = ", ".join(self.names[:_SHOWN]) + (", ..." if len(self.names) > _SHOWN else "")
        named = f" ({shown})" if shown else ""
        if self.form == "class":
            return f"a class from 0 to {self.size - 1}{named}"
        return f"{self.size} number{'s' if self.size > 1 else ''}{named}"

    def label(self, index: int) -> str:
        """The name of a class, or its number where it has none."""
        return self.names[index] if index < len(self.names) else str(index)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that make an equal one as keyword arguments, `from_dict`."""
        values = {**dataclasses.asdict(self), "names": list(self.names)}
        typical = list(values.pop("typical"))
        return {**values, "typical": typical} if typical else values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConditionValues:
        """What `to_dict` described."""
        lists = {key: tuple(values[key]) for key in ("names", "typical") if key in values}
        return cls(**{**values, **lists})


class Condition(abc.ABC):
    """An embedding of what an image is conditioned on, a Keras layer.

    Builder: ``(options, name: str)``. Its spec's ``condition_values(options)`` says what it is
    given. The hierarchy brings the embedding to each latent layer by projections of its own. It
    is built to compute in float32 in a model of any precision, so that numbers are not rounded
    before they are standardised; the projections cast what it gives.
    """

    #: channels of the embedding
    width: int

    @abc.abstractmethod
    def call(self, condition: Tensor) -> Tensor:
        """[B, ...] as `ConditionValues.encode` gives it -> [B, width]."""


def _as_list(given: Any, name: str) -> list[Any]:
    try:
        return list(given)
    except TypeError:
        raise BadInputError(f"{name} is {given!r}; expected a condition, or a list.") from None


def _floats(given: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise BadInputError(f"{name} is {given!r}; expected numbers.") from None
