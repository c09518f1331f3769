"""What a ``preset.yaml`` may hold beside its configuration: the form of each key, and of each text.

A preset may come from anyone. What is checked here is relied on wherever presets are listed, shown,
printed and published: texts steer no terminal, figures are finite numbers, keys are texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hvae_core.errors import PresetError
from hvae_core.files.foreign_numbers import is_number, is_whole

#: characters of a text that stands in a listing, and of any other
MAX_LINE = 1_000
MAX_TEXT = 50_000
#: control characters but line ends and tabs, changes of the writing direction, halves of characters
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_TEXTS = ("summary", "licence", "cite", "notes")
_MAPPINGS = ("figures", "layers", "pictures", "trained", "plugins")


def check_record(info: Mapping[str, Any], path: Path) -> None:
    """Refuse a ``preset.yaml`` of another form.

    Args:
        info: what it holds.
        path: where it lies, for the message.

    Raises:
        PresetError: names the key.
    """
    for where, text in _texts(info):
        if found := _STEERING.search(text):
            raise PresetError(
                f"{path}: {where} holds the character {found[0]!a}, which steers a terminal.",
                "Write plain text.",
            )
        if len(text) > MAX_TEXT:
            raise PresetError(f"{path}: {where} has more than {MAX_TEXT} characters.")
    for key in _TEXTS:
        said = info.get(key)
        if said is not None and not isinstance(said, str):
            raise PresetError(f"{path}: {key} must be text, not {_shown(said)}.")
        if key in ("summary", "licence") and said and len(said) > MAX_LINE:
            raise PresetError(f"{path}: {key} has more than {MAX_LINE} characters.")
    for key in _MAPPINGS:
        if not isinstance(info.get(key) or {}, Mapping):
            raise PresetError(f"{path}: {key} must be a mapping, not {_shown(info[key])}.")
        for where, inner in _keys(info.get(key), key):
            if not isinstance(inner, str):
                raise PresetError(
                    f"{path}: {where} has the key {_shown(inner)}, which is no text.",
                    "Put it in quotes.",
                )
    for key in ("data", "likelihood"):
        chosen = info.get(key)
        name = chosen.get("name") if isinstance(chosen, Mapping) else chosen
        if name is not None and not isinstance(name, str):
            raise PresetError(
                f"{path}: {key} is {_shown(chosen)}; expected a name, or a mapping with the name "
                "and options."
            )
    parameters = info.get("parameters")
    if parameters is not None and not is_whole(parameters):
        raise PresetError(f"{path}: parameters must be a number, not {_shown(parameters)}.")
    for name, figure in (info.get("figures") or {}).items():
        value = figure.get("value") if isinstance(figure, Mapping) else figure
        command = figure.get("command") if isinstance(figure, Mapping) else None
        if command is not None and not isinstance(command, str):
            raise PresetError(
                f"{path}: figures.{name}.command must be text, not {_shown(command)}."
            )
        if value is not None and not is_number(value):
            raise PresetError(
                f"{path}: figures.{name} is {_shown(value)}; expected a finite number, or a "
                "mapping with the number as value and how it was measured."
            )

    for name, caption in (info.get("pictures") or {}).items():
        if not isinstance(caption, str):
            raise PresetError(f"{path}: pictures.{name} must be text, not {_shown(caption)}.")
    _check_layers(info.get("layers") or {}, path)


def _check_layers(layers: Mapping[str, Any], path: Path) -> None:
    if not isinstance(layers.get("how") or "", str):
        raise PresetError(f"{path}: layers.how must be text, not {_shown(layers['how'])}.")
    lists = {key: value for key, value in layers.items() if key != "how"}
    for key, numbers in lists.items():
        if not isinstance(numbers, list) or not all(map(is_number, numbers)):
            raise PresetError(
                f"{path}: layers.{key} is {_shown(numbers)}; expected a finite number for each "
                "layer."
            )
    if len({len(numbers) for numbers in lists.values()}) > 1:
        raise PresetError(f"{path}: the lists of layers are of different lengths.")


def _texts(values: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Every text and every key, and where it stands."""
    if isinstance(values, str):
        yield where, values
    elif isinstance(values, Mapping):
        for key, value in values.items():
            yield where or "a key", str(key)
            yield from _texts(value, f"{where}.{key}".lstrip("."))
    elif isinstance(values, list):
        for value in values:
            yield from _texts(value, where)


def _keys(values: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Every key, and where it stands."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield where, key
            yield from _keys(value, f"{where}.{key}")
    elif isinstance(values, list):
        for value in values:
            yield from _keys(value, where)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
