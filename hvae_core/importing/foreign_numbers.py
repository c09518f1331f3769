"""Numbers in the configurations of other implementations, checked before they are counted with.

Such a file is anyone's: JSON's ``null``, ``1e999`` and ``NaN`` come to the formats' translators, as
do numbers in quotes. Each is one sentence that names the key.
"""

from __future__ import annotations

from typing import Any

from hvae_core.errors import ConfigError

#: far more than any option is; the product of two is finite
LARGEST = 1e18
#: characters of a value that a message quotes
_SHOWN = 60
_HINT = "Write there what the network was trained with."


def finite_number(value: Any, key: str) -> int | float:
    """A value that has to be a finite number.

    Args:
        value: what the file has.
        key: the original's name of it, for the message.

    Raises:
        ConfigError: it is none, or is beyond all bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key} is {_shown(value)}; expected a number.", _HINT)
    if not abs(value) <= LARGEST:
        raise ConfigError(
            f"{key} is {_shown(value)}; expected a finite number of at most {LARGEST:g} in size.",
            _HINT,
        )
    return value


def whole_number(value: Any, key: str, least: int | None = None) -> int:
    """A value that has to be a whole number, which may be written as ``100.0`` or ``1e5``.

    Args:
        value: what the file has.
        key: the original's name of it, for the message.
        least: the smallest there may be; None: any.

    Raises:
        ConfigError: it is none, or is too small or beyond all bounds.
    """
    wanted = "a whole number" + ("" if least is None else f", {least} or more")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{key} is {_shown(value)}; expected {wanted}.", _HINT)
    found = finite_number(value, key)
    if found != int(found) or (least is not None and found < least):
        raise ConfigError(f"{key} is {_shown(value)}; expected {wanted}.", _HINT)
    return int(found)


def _shown(value: Any) -> str:
    """A value as the file has it, short."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
