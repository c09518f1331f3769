"""What pydantic found wrong, as a sentence that names the key and the nearest valid one."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pydantic

from hvae_core.config.component import Component
from hvae_core.config.root import Config
from hvae_core.errors import did_you_mean

SHOWN = 3
#: what other libraries call an option, where neither spelling nor words lead to ours
OTHERS_WORDS = {
    "iterations": "steps",
    "iters": "steps",
    "max_iters": "steps",
    "gpu": "devices",
    "gpus": "devices",
    "amp": "precision",
    "dtype": "precision",
    "momentum": "beta_1",
    "grad_clip": "clip_norm",
    "gradient_clipping": "clip_norm",
    "early_stopping": "patience",
    "gradient_checkpointing": "remat",
}
#: pydantic's wording: ours
WORDING = (
    (r"^Input should be ", ""),
    (r"a valid dictionary or instance of \w+", "a mapping of options"),
    (r"^List should have (at least \d+) items?.*", r"\1"),
    (r", unable to parse string as an? \w+$", ""),
    (r"\ba valid list", "a list"),
    (r"\ba valid string", "text"),
    (r"\ba valid integer", "an integer"),
    (r"\ba valid number", "a number"),
    (r"\ba valid tuple", "a list"),
    (r"\ba valid boolean(, unable to interpret input)?", "true or false"),
)


def describe(
    error: pydantic.ValidationError,
    values: Mapping[str, Any],
    root: type[pydantic.BaseModel] = Config,
) -> tuple[str, str]:
    """The message and the hint for a failed validation of ``values``.

    At most `SHOWN` problems are told, each with its own hint if there are several; the number of
    further ones is said.

    Args:
        error: what pydantic raised.
        values: what was validated.
        root: the model that it was validated by.
    """
    problems: dict[str, tuple[str, str]] = {}
    for item in error.errors(include_url=False):
        location = key_path(item["loc"], values)
        key = ".".join(map(str, location))
        problems.setdefault(key, _sentence(location, item, values, root))
    # A value that may be one or a list fails as both; what is said of the entry is of more use.
    inner = [key for key in problems if not any(k.startswith(f"{key}.") for k in problems)]
    told = [problems[key] for key in inner[:SHOWN]]
    if len(told) == 1:
        return told[0]
    # A list of all names for each of several problems would hide the problems.
    message = " ".join(
        f"{sentence} {hint}" if hint.startswith("Did") else sentence for sentence, hint in told
    )
    if len(inner) > SHOWN:
        message += f" ({len(inner) - SHOWN} more.)"
    return message, ""


def key_path(location: Sequence[Any], values: Any) -> list[str | int]:
    """The keys and indices of a pydantic location, without the names of types it puts between."""
    path: list[str | int] = []
    current = values
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if isinstance(current, Mapping) and (part in current or is_last or not path):
            path.append(part)
            current = current.get(part)
        elif isinstance(current, list) and isinstance(part, int) and part < len(current):
            path.append(part)
            current = current[part]
        elif isinstance(current, str) and is_last and len(path) in (1, 2):
            # An option of a component that is given by its name alone.
            named = isinstance(part, str) and part.isidentifier() and not _is_type_name(part)
            path += [part] if named else []
    return path


def _is_type_name(part: str) -> bool:
    return part in ("int", "float", "str", "bool", "none")


def _sentence(
    location: list[str | int],
    item: Mapping[str, Any],
    values: Mapping[str, Any],
    root: type[pydantic.BaseModel],
) -> tuple[str, str]:
    kind, key = item["type"], ".".join(map(str, location))
    if kind in ("extra_forbidden", "invalid_key"):
        return f"Unknown key {key!r}.", _nearest_key(location, values, root)
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind == "value_error":
        # Our own validators name the key themselves; a plugin's options don't know where they are.
        prefix = f"{key}: " if _is_component(location, root) else ""
        return f"{prefix}{text.rstrip('.')}.", ""
    if kind == "component":
        return f"{key}: {text.rstrip('.')}" + ("." if not text.endswith("?") else ""), ""
    if kind == "missing":
        return f"{key} is missing.", ""
    for pattern, replacement in WORDING:
        text = re.sub(pattern, replacement, text)
    text = text[:1].lower() + text[1:]
    return f"{key} is {_shown(item.get('input'))}; expected {text}.", ""


def _shown(value: Any) -> str:
    """A value as a configuration file has it, short."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _nearest_key(
    location: list[str | int], values: Mapping[str, Any], root: type[pydantic.BaseModel]
) -> str:
    """The hint for an unknown key: a near one beside it, the same in another section, or all."""
    *parents, last = location
    siblings = _siblings(parents, values, root)
    prefix = "".join(f"{part}." for part in parents)
    name = OTHERS_WORDS.get(str(last), str(last))
    keys = {key.rpartition(".")[2]: key for key in reversed([*_all_keys(root)])}
    near = nearest(name, siblings)
    if near and (near == name or name not in keys):
        return f"Did you mean {prefix + near!r}?"
    elsewhere = keys.get(nearest(name, keys) or "")
    return f"Did you mean {elsewhere!r}?" if elsewhere else did_you_mean(name, siblings)


def nearest(name: str, keys: Iterable[str]) -> str | None:
    """The key that is spelt like ``name``, that it abbreviates, or that it shares a word with.

    ``learning_rat``, ``lr`` and ``initial_rate`` all lead to ``learning_rate``.
    """
    known = sorted(keys)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return near[0]
    words = {key: key.split("_") for key in known}
    for key, parts in words.items():
        if len(parts) > 1 and name == "".join(part[:1] for part in parts):
            return key
    said = set(name.split("_"))
    shared = {key: len(said & set(parts)) / len(parts) for key, parts in words.items()}
    best = max(shared, key=lambda key: shared[key], default=None)
    return best if best is not None and shared[best] else None


def _all_keys(model: type[pydantic.BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        inner = _section(field)
        if inner is not None:
            yield from _all_keys(inner, f"{prefix}{name}.")


def _section(field: Any) -> type[pydantic.BaseModel] | None:
    """The section that a field holds, or None."""
    candidates = [field.annotation, *typing.get_args(field.annotation)]
    return next(
        (c for c in candidates if isinstance(c, type) and issubclass(c, pydantic.BaseModel)), None
    )


def _field_at(location: Sequence[str | int], root: type[pydantic.BaseModel]) -> Any:
    """The field at ``location``, or that of the component it lies in; None if there is none."""
    model: type[pydantic.BaseModel] | None = root
    field: Any = None
    for part in location:
        field = model.model_fields.get(str(part)) if model is not None else None
        if field is None or _holds_component(field):
            return field
        model = _section(field)
    return field


def _holds_component(field: Any) -> bool:
    """Whether the field is a component, or a list of them."""
    pending = [field.annotation]
    while pending:
        annotation = pending.pop()
        if annotation is Component:
            return True
        pending += typing.get_args(annotation)
    return False


def _is_component(location: Sequence[str | int], root: type[pydantic.BaseModel]) -> bool:
    field = _field_at(location, root)
    return field is not None and _holds_component(field)


def _siblings(
    location: Sequence[str | int], values: Mapping[str, Any], root: type[pydantic.BaseModel]
) -> list[str]:
    """The valid keys of the section or component at ``location``."""
    if not location:
        return list(root.model_fields)
    field = _field_at(location, root)
    if field is None:
        return []
    if _holds_component(field):
        return _component_keys(location, values)
    section = _section(field)
    return list(section.model_fields) if section is not None else []


def _component_keys(location: Sequence[str | int], values: Mapping[str, Any]) -> list[str]:
    """The option names of the component that the configuration chose at ``location``."""
    from hvae_core.plugins import manager

    chosen: Any = values
    for step in location:
        if isinstance(chosen, list) and isinstance(step, int) and step < len(chosen):
            chosen = chosen[step]
        else:
            chosen = chosen.get(step, {}) if isinstance(chosen, Mapping) else {}
    name = chosen.get("name") if isinstance(chosen, Mapping) else chosen
    part = next(str(step) for step in reversed(location) if not isinstance(step, int))
    kind = {"data": "dataset", "trackers": "tracker"}.get(part, part)
    try:
        config_class = manager().get(kind, str(name)).config
    except Exception:
        return []
    if issubclass(config_class, pydantic.BaseModel):
        return ["name", *config_class.model_fields]
    return ["name", *getattr(config_class, "__dataclass_fields__", {})]
