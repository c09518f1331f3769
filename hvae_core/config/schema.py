"""The JSON schema of a configuration, with the options of every component that is installed."""

from __future__ import annotations

from typing import Any

import pydantic

from hvae_core.config.root import Config
from hvae_core.errors import PluginError
from hvae_core.plugins import manager


def config_schema() -> dict[str, Any]:
    """The schema of a configuration file, for editors and checkers.

    Where a component is chosen, the options of each installed one are listed; plugins that cannot
    be loaded are left out.
    """
    schema = Config.model_json_schema()
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    for section in (schema, *definitions.copy().values()):
        for entry in section.get("properties", {}).values():
            field = entry.get("items", entry)  # a list of components, or one
            kind = field.pop("x-kind", None)
            if kind:
                chosen = [_component(kind, name, definitions) for name in manager().names(kind)]
                field["anyOf"] = [
                    *(part for part in field["anyOf"] if part.get("type") != "object"),
                    *(part for part in chosen if part is not None),
                ]
    return schema


def _component(kind: str, name: str, definitions: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of a mapping that chooses a component; adds its types to ``definitions``."""
    try:
        spec = manager().get(kind, name)
    except PluginError:
        return None
    template = f"#/$defs/{kind}.{name}.{{model}}"
    options = pydantic.TypeAdapter(spec.config).json_schema(ref_template=template)
    for inner, definition in options.pop("$defs", {}).items():
        definitions[f"{kind}.{name}.{inner}"] = definition
    for entry in options.get("properties", {}).values():
        # A component among the options, such as one of a sequence, may hold a sequence in turn:
        # its options are not listed.
        entry.get("items", entry).pop("x-kind", None)
    return {
        "type": "object",
        "title": f"{kind} {name}",
        "description": spec.summary,
        "properties": {"name": {"const": name}, **options.get("properties", {})},
        "required": ["name", *options.get("required", [])],
        "additionalProperties": False,
    }
