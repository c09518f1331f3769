"""A component with options in a word, as a command line takes it: ``columns:0.25,fill=0``."""

from __future__ import annotations

from typing import Any

from hvae_core.errors import ConfigError, HvaeError, PluginError
from hvae_core.files import yaml_files
from hvae_core.plugins import manager

#: the measurement that a list of them is
SEQUENCE = "sequence"
EXAMPLE = "columns:0.25"


def spelt_out(kind: str, text: str) -> dict[str, Any]:
    """The mapping that a word stands for.

    ``NAME:VALUE,KEY=VALUE`` gives a component's `short_option` and others, in YAML; measurements
    joined by ``+`` are a sequence of them.

    Raises:
        HvaeError: there is no such component, it has no short option, or a value is no YAML.
    """
    parts = [part.strip() for part in text.split("+")]
    if len(parts) > 1:
        return {"name": SEQUENCE, "measurements": [spelt_out(kind, part) for part in parts]}
    word, *pairs = text.split(",")
    if not word.strip():
        raise ConfigError(
            f"{text!r} names no {kind}, or a + has nothing beside it.",
            f"Write NAME, NAME:VALUE or NAME,OPTION=VALUE, such as {EXAMPLE}.",
        )
    name, colon, value = _divided(kind, word.strip())
    options: dict[str, Any] = {"name": name}
    if colon:
        if not value.strip():
            raise ConfigError(
                f"{word.strip()!r} is not of the form NAME:VALUE.", f"Write it like {EXAMPLE}."
            )
        option = manager().get(kind, name).short_option
        if not option:
            raise ConfigError(
                f"The {kind} {name!r} has no value of its own, but {word!r} gives one.",
                f"Write {name},OPTION=VALUE.",
            )
        pairs.insert(0, f"{option}={value}")
    # A list in brackets has commas of its own.
    for pair in _joined(pairs):
        key, equals, given = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(
                f"{text!r} has {pair!r}, which is not of the form OPTION=VALUE.",
                f"Write it like {name},OPTION=VALUE.",
            )
        if key.strip() in options:
            raise ConfigError(f"{text!r} gives {key.strip()} twice.", "Give it once.")
        options[key.strip()] = yaml_files.parse_yaml(given, f"The value of {key}", ConfigError)
    return options


def _divided(kind: str, word: str) -> tuple[str, str, str]:
    """Name, colon and value; the name may itself be ``distribution:name``."""
    name, colon, value = word.rpartition(":")
    if not colon:
        return word, "", ""
    try:
        manager().find(kind, word)
    except PluginError:
        try:
            manager().find(kind, name)
        except HvaeError:
            # `acme:blur` of a package that is not here, or a name that does not exist.
            return (name, colon, value) if ":" not in name else (word, "", "")
        return name, colon, value
    return word, "", ""


def _joined(pairs: list[str]) -> list[str]:
    """The pairs between commas, those inside brackets belonging to the pair before them."""
    joined: list[str] = []
    for pair in pairs:
        if joined and joined[-1].count("[") > joined[-1].count("]"):
            joined[-1] += f",{pair}"
        else:
            joined.append(pair)
    return joined
