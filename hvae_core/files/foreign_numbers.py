"""Numbers that stand in somebody's file, checked before they are counted with.

A preset, an export's manifest, another implementation's configuration, what a command printed: each
may be anyone's. JSON and YAML bring ``null``, ``1e999``, ``NaN``, numbers in quotes, and whole
numbers of hundreds of digits, which Python compares but cannot make a float of. Whoever reads one
asks here: for a yes or no where the reader has a sentence of its own, else for a sentence that
names the key.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from hvae_core.errors import ConfigError, HvaeError

#: far more than any option or figure is; the product of two is finite
LARGEST = 1e18
#: characters of a value that a message quotes
_SHOWN = 60
_HINT = "Write there what the network was trained with."


def is_number(value: Any, most: float = LARGEST) -> TypeGuard[int | float]:
    """Whether a value is a finite number, of at most ``most`` in size. A truth value is none.

    Args:
        value: what the file has.
        most: finite itself, so that what is taken can be made a float.
    """
    return _is_any_number(value) and abs(value) <= most


def is_whole(value: Any, least: int = 0, most: float = LARGEST) -> TypeGuard[int]:
    """Whether a value is a whole number from ``least`` to ``most``, written as one."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def finite_number(
    value: Any, key: str, kind: type[HvaeError] = ConfigError, hint: str = _HINT
) -> int | float:
    """A value that has to be a finite number.

    Args:
        value: what the file has.
        key: the file's name of it, for the message.
        kind: of the error.
        hint: how to mend it.

    Raises:
        HvaeError: of this kind: it is none, or is beyond all bounds.
    """
    if not _is_any_number(value):
        raise kind(f"{key} is {_shown(value)}; expected a number.", hint)
    if not is_number(value):
        raise kind(
            f"{key} is {_shown(value)}; expected a finite number of at most {LARGEST:g} in size.",
            hint,
        )
    return value


def whole_number(
    value: Any,
    key: str,
    least: int | None = None,
    kind: type[HvaeError] = ConfigError,
    hint: str = _HINT,
) -> int:
    """A value that has to be a whole number, which may be written as ``100.0`` or ``1e5``.

    Args:
        value: what the file has.
        key: the file's name of it, for the message.
        least: the smallest there may be; None: any.
        kind: of the error.
        hint: how to mend it.

    Raises:
        HvaeError: of this kind: it is none, or is too small or beyond all bounds.
    """
    wanted = "a whole number" + ("" if least is None else f", {least} or more")
    if not _is_any_number(value):
        raise kind(f"{key} is {_shown(value)}; expected {wanted}.", hint)
    found = finite_number(value, key, kind, hint)
    if found != int(found) or (least is not None and found < least):
        raise kind(f"{key} is {_shown(value)}; expected {wanted}.", hint)
    return int(found)


def _is_any_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """A value as the file has it, short."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
