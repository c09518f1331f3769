"""What pydantic found wrong, as a sentence that names the key and the nearest valid one."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import pydantic

from hvae_core.config.component import Component
from hvae_core.config.root import Config
from hvae_core.errors import did_you_mean

SHOWN = 3


def describe(error: pydantic.ValidationError, values: Mapping[str, Any]) -> tuple[str, str]:
    """The message and the hint for a failed validation of ``values``.

    At most `SHOWN` problems are told; the number of further ones is said.
    """
    problems: dict[str, tuple[str, str]] = {}
    for item in error.errors(include_url=False):
        location = [part for part in item["loc"] if _is_key(part)]
        key = ".".join(str(part) for part in location)
        problems.setdefault(key, _sentence(key, location, item, values))
    # A value that may be one or a list fails as both; what is said of the entry is of more use.
    inner = [key for key in problems if not any(k.startswith(f"{key}.") for k in problems)]
    problems = {key: problems[key] for key in inner}
    told = list(problems.values())[:SHOWN]
    message = " ".join(sentence for sentence, _ in told)
    if len(problems) > SHOWN:
        message += f" ({len(problems) - SHOWN} more.)"
    return message, next((hint for _, hint in told if hint), "")


def _is_key(part: Any) -> bool:
    """Whether a part of pydantic's location is a key or an index, not the name of a type."""
    if isinstance(part, int):
        return True
    return not any(mark in part for mark in "[(-") and part not in ("int", "float", "str", "bool")


def _sentence(
    key: str, location: list[Any], item: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[str, str]:
    kind = item["type"]
    if kind == "extra_forbidden":
        siblings = _siblings(location[:-1], values)
        prefix = ".".join(str(part) for part in location[:-1])
        hint = did_you_mean(str(location[-1]), siblings)
        if prefix and hint.startswith("Did"):
            nearest = hint.split("'")[1]
            hint = f"Did you mean '{prefix}.{nearest}'?"
        return f"Unknown key {key!r}.", hint
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind == "value_error":
        # Our own validators name the key themselves.
        return text.rstrip(".") + ".", ""
    given = item.get("input")
    shown = f" is {given!r}" if isinstance(given, (str, int, float, bool, list)) else ""
    text = text.removeprefix("Input should be ")
    if kind == "component":
        return f"{key}: {text.rstrip('.')}" + ("." if not text.endswith("?") else ""), ""
    if kind == "missing":
        return f"{key} is missing.", ""
    return f"{key}{shown}; expected {text[:1].lower() + text[1:]}.", ""


def _siblings(location: list[Any], values: Mapping[str, Any]) -> list[str]:
    """The valid keys beside an unknown one."""
    model: Any = Config
    for part in location:
        if not (isinstance(model, type) and issubclass(model, pydantic.BaseModel)):
            return []
        field = model.model_fields.get(str(part))
        if field is None:
            return []
        inner = field.annotation
        if _is_component(field):
            return _component_keys(str(part), location, values)
        candidates = [inner, *typing.get_args(inner)]
        model = next(
            (c for c in candidates if isinstance(c, type) and issubclass(c, pydantic.BaseModel)),
            None,
        )
    if isinstance(model, type) and issubclass(model, pydantic.BaseModel):
        return list(model.model_fields)
    return []


def _is_component(field: Any) -> bool:
    return Component in (field.annotation, *typing.get_args(field.annotation))


def _component_keys(part: str, location: list[Any], values: Mapping[str, Any]) -> list[str]:
    """The option names of the component that the configuration chose at ``location``."""
    from hvae_core.plugins import manager

    chosen: Any = values
    for step in location:
        chosen = chosen.get(step, {}) if isinstance(chosen, Mapping) else {}
    name = chosen.get("name") if isinstance(chosen, Mapping) else chosen
    kind = {"data": "dataset"}.get(part, part)
    try:
        config_class = manager().get(kind, str(name)).config
    except Exception:
        return []
    if issubclass(config_class, pydantic.BaseModel):
        return ["name", *config_class.model_fields]
    return ["name", *getattr(config_class, "__dataclass_fields__", {})]
