"""Options that win over a configuration: ``a.b=value`` as ``--set`` takes them, or a mapping."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hvae_core.config.spelling import spelt_out
from hvae_core.errors import ConfigError
from hvae_core.files import yaml_files

#: what ``overrides=`` takes: ``a.b=value``, several of them, or dotted keys with their values
Overrides = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]

#: sections that hold a component, which may be given by its name alone
COMPONENT_KEYS = (
    *("block", "flow", "attention", "condition", "prior", "likelihood", "regularizer", "data"),
    *("measurement", "optimizer", "schedule"),
)
#: the one whose options may be in the word that names it: ``columns:0.25,fill=0``
IN_A_WORD = "measurement"
#: sections that a mapping of overrides may spell out: ``{"train": {"steps": 2}}``
SECTIONS = (("model",), ("model", "readout"), ("model", "conditioning"), ("train",))
#: characters of an override that a message quotes
LONGEST = 80
#: two ways to say one thing: where an override gives one, what the file says of the other goes
ALTERNATIVES = (
    ("epochs", "steps"),
    ("warmup_epochs", "warmup_steps"),
    ("skip_start_epoch", "skip_start_step"),
    ("beta_warmup_epochs", "beta_warmup"),
)
DEFAULT_COMPONENTS = {
    "block": "bottleneck",
    "likelihood": "logistic-mixture",
    "data": "digits",
    "optimizer": "adamax",
    "schedule": "cosine",
}


def parse_override(text: str) -> tuple[list[str], Any]:
    """``a.b=value`` as the path and the value, which is read as YAML.

    Raises:
        ConfigError: there is no ``=``, the key is empty, or the value is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise _malformed(text)
    path = _path(key, text)
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    name = f"The value of the override {shown!r}"
    return path, yaml_files.parse_yaml(value, name, ConfigError)


def _path(key: Any, text: Any) -> list[str]:
    path = key.strip().split(".") if isinstance(key, str) else []
    if not path or not all(path):
        raise _malformed(text)
    return path


def _malformed(text: Any) -> ConfigError:
    return ConfigError(
        f"The override {text!r} is not of the form key=value.",
        "Write it like --set train.batch_size=64, in Python also {'train.batch_size': 64}",
    )


def read_overrides(overrides: Overrides) -> list[tuple[list[str], Any]]:
    """Overrides in any form as paths and values, in their order.

    Raises:
        ConfigError: one is not of the form ``key=value``.
    """
    if isinstance(overrides, str):
        return [parse_override(overrides)]
    if isinstance(overrides, Mapping):
        pairs = [(_path(key, key), value) for key, value in overrides.items()]
        return [inner for path, value in pairs for inner in _spelt_out(path, value)]
    if not isinstance(overrides, Iterable):
        raise _malformed(overrides)
    found: list[tuple[list[str], Any]] = []
    for item in overrides:
        if not isinstance(item, str | Mapping):
            raise _malformed(item)
        found += read_overrides(item)
    return found


def _spelt_out(path: list[str], value: Any) -> Iterator[tuple[list[str], Any]]:
    """A section's keys one by one, so that those not named keep their values."""
    if tuple(path) in SECTIONS and isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _spelt_out([*path, *_path(key, key)], inner)
    else:
        yield path, value


def apply_overrides(mapping: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    """A copy of ``mapping`` with overrides, which win.

    An option of a component that is given by its name alone, or not at all, keeps that component.
    A component chosen anew by ``name`` drops the options of the one before. Of two options that
    exclude each other (epochs and steps), the one given replaces the other.

    Args:
        mapping: a configuration's plain values.
        overrides: ``a.b=value``, one or several, as ``--set`` takes them, with the value in YAML;
            or a mapping of dotted keys to values.

    Raises:
        ConfigError: an override is malformed, or sets a key inside a value that has none.
    """
    result = copy.deepcopy(dict(mapping))
    given = read_overrides(overrides)
    for path, value in given:
        _apply(result, path, copy.deepcopy(value))
    for pair in ALTERNATIVES:
        for one, other in (pair, pair[::-1]):
            was_given = [["train", key] in [path for path, _ in given] for key in (one, other)]
            train = result.get("train")
            # A later override may have put another section in its place.
            if was_given != [True, False] or not isinstance(train, dict):
                continue
            if train.get(one) is not None:
                train[other] = None
    return result


def _apply(result: dict[str, Any], path: list[str], value: Any) -> None:
    target = result
    for depth, key in enumerate(path[:-1], 1):
        inner = target.get(key)
        if key in COMPONENT_KEYS and (not inner or isinstance(inner, str)):
            inner = _component(key, inner or DEFAULT_COMPONENTS.get(key))
        elif inner is None:
            inner = {}
        elif not isinstance(inner, dict):
            whole = ".".join(path[:depth])
            raise ConfigError(
                f"The override of {'.'.join(path)!r} sets a key inside {key!r}, which is "
                f"{inner!r}.",
                f"Give {whole} as a whole.",
            )
        target[key] = inner
        target = inner
    is_new_component = path[-1] == "name" and len(path) > 1 and path[-2] in COMPONENT_KEYS
    if is_new_component and target.get("name") != value:
        target.clear()
    target[path[-1]] = value


def _component(key: str, name: str | None) -> dict[str, Any]:
    """The mapping of a component that is given by its name alone, or not at all."""
    if name is None:
        return {}
    return spelt_out(key, name) if key == IN_A_WORD else {"name": name}
