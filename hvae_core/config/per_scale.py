"""Options given once for all scales, or as a list with one value a scale, finest scale first."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import pydantic

from hvae_core.errors import ConfigError

T = TypeVar("T")


class PerScaleMarker:
    """Marks a field whose value may be a list with one entry a scale."""


#: ``PerScale[int]``: an int for all scales, or a list of ints, finest scale first.
PerScale = Annotated[T | list[T], PerScaleMarker()]


def expand(value: Any, scales: int, key: str) -> list[Any]:
    """One value for each scale.

    Args:
        value: a scalar for all scales, or a sequence with ``scales`` entries, finest first.
        scales: number of scales.
        key: the option's dotted name, for the message.

    Raises:
        ValueError: the sequence has another length; the message names ``key``.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != scales:
            raise ValueError(
                f"{key} has {len(value)} values but there are {scales} scales; "
                f"give one value, or {scales} values, finest scale first"
            )
        return list(value)
    return [value] * scales


def single(value: T | list[T], key: str = "an option") -> T:
    """A per-scale option's value where one scale is meant, as in a component's builder.

    Raises:
        ConfigError: it is still a list.
    """
    if isinstance(value, list):
        raise ConfigError(
            f"{key} is the list {value}; a component for one scale takes one value.",
            "Give one value; lists, finest scale first, belong to a whole model.",
        )
    return value


def per_scale_fields(config_class: type) -> set[str]:
    """The names of the fields of ``config_class`` that are annotated `PerScale`."""
    hints = typing.get_type_hints(config_class, include_extras=True)
    return {
        name
        for name, hint in hints.items()
        if any(isinstance(m, PerScaleMarker) for m in getattr(hint, "__metadata__", ()))
    } | {
        name
        for name, field in getattr(config_class, "model_fields", {}).items()
        if any(isinstance(m, PerScaleMarker) for m in field.metadata)
    }


def at_scale(options: Any, index: int, scales: int, key: str = "") -> Any:
    """``options`` with every `PerScale` field reduced to its value at scale ``index``.

    Args:
        options: a pydantic model or dataclass instance.
        index: the scale, 0 is the finest.
        scales: number of scales.
        key: dotted prefix for messages.
    """
    names = per_scale_fields(type(options))
    changes = {
        name: expand(getattr(options, name), scales, f"{key}.{name}".lstrip("."))[index]
        for name in names
    }
    if not changes:
        return options
    if isinstance(options, pydantic.BaseModel):
        return options.model_copy(update=changes)
    return dataclasses.replace(options, **changes)
