"""The hyper-parameters that Efficient-VDVAE keeps beside a checkpoint: a cfg file, or JSON."""

from __future__ import annotations

import ast
import configparser
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hvae_core.errors import ConfigError
from hvae_core.files.json_files import read_object

LARGEST = 1 << 20
#: entries of a list, far more than any network has levels
MOST_ENTRIES = 10_000
#: sections that say something of a network or of its training
SECTIONS = ("data", "model", "loss", "optimizer", "train")
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_HINT = "Give the file that the original keeps in logs-NAME/hparams-NAME.cfg."

Hyperparameters = Mapping[str, Mapping[str, Any]]


def read_hyperparameters(path: Path) -> dict[str, dict[str, Any]]:
    """The sections of a file as plain values; expressions in it are read, never run.

    Args:
        path: the original's cfg file, or JSON with the same sections.

    Raises:
        ConfigError: the file is missing, too large or damaged, or a value is no plain one.
    """
    if path.suffix == ".json":
        content = read_object(path, ConfigError, _HINT)
        sections = {name: content.get(name) for name in SECTIONS}
        if not all(isinstance(values, Mapping) for values in sections.values()):
            raise ConfigError(f"{path} lacks one of the sections {', '.join(SECTIONS)}.", _HINT)
        return {name: dict(values) for name, values in sections.items()}  # type: ignore[arg-type]
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror or error}.", _HINT) from error
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    try:
        if len(data) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST:,} bytes")
        parser.read_string(data.decode("utf-8"))
    except (configparser.Error, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path} is no cfg file: {reason}.", _HINT) from None
    missing = [name for name in SECTIONS if not parser.has_section(name)]
    if missing:
        raise ConfigError(f"{path} has no section [{missing[0]}].", _HINT)
    return {
        name: {key: _value(path, f"{name}.{key}", text) for key, text in parser.items(name)}
        for name in SECTIONS
    }


def _value(path: Path, key: str, text: str) -> Any:
    """A value of numbers, text and lists, which may be added and repeated: ``[1] * 3 + [2]``."""
    try:
        return _read(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError:
        return text
    except (ValueError, TypeError, ZeroDivisionError, RecursionError, MemoryError) as error:
        raise ConfigError(
            f"{path}: {key[:80]} is {text[:80]!r}, which is not read ({error}).",
            "Write its value: numbers, text, lists of these, + and *.",
        ) from None


def _read(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str | None):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_read(item) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(_read(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _read(node.left), _read(node.right)
        lists = [value for value in (left, right) if isinstance(value, list)]
        if len(lists) == 2 and isinstance(node.op, ast.Add):
            return _short(left + right)
        if len(lists) == 1 and isinstance(node.op, ast.Mult):
            times = right if isinstance(left, list) else left
            if type(times) is not int or not 0 <= times * len(lists[0]) <= MOST_ENTRIES:
                raise ValueError(f"a list of at most {MOST_ENTRIES:,} entries is expected")
            return lists[0] * times
        return _number(_OPERATORS[type(node.op)](_number(left), _number(right)))
    raise ValueError("no number, text, list, sum or product")


def _short(values: list[Any]) -> list[Any]:
    if len(values) > MOST_ENTRIES:
        raise ValueError(f"a list of at most {MOST_ENTRIES:,} entries is expected")
    return values


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e18:
        raise ValueError("a number is expected")
    return value
