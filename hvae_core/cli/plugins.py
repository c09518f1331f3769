"""``hvae plugins``: the components that are installed."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from hvae_core.cli.common import emit, json_option
from hvae_core.plugins.specs import KINDS


@click.group()
def command() -> None:
    """List, show, check and write components: blocks, flows, data sets and the rest."""


@command.command("list")
@click.option("--kind", help="Only components of this kind, such as flow.")
@json_option
def list_command(kind: str | None, as_json: bool) -> None:
    """List the components from their packages' metadata.

    Only those with presets are loaded, as whenever a preset is looked for by its name.
    """
    from hvae_core.errors import BadInputError, did_you_mean
    from hvae_core.plugins import manager
    from hvae_core.zoo.folders import installed_presets

    if kind is not None and kind not in KINDS:
        raise BadInputError(f"There is no kind {kind!r}.", did_you_mean(kind, KINDS))
    if kind in (None, "preset"):
        installed_presets()  # tells which are broken
    entries = manager().entries(kind)
    rows = [dataclasses.asdict(entry) for entry in entries]
    emit(rows, as_json, None if as_json else _table(rows))


@command.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Show a component, NAME being kind.name or a name that only one kind has."""
    from hvae_core.plugins import manager

    entry = find_entry(name)
    spec = manager().get(entry.kind, f"{entry.distribution}:{entry.name}")
    options = option_rows(spec.config)
    licence = spec.licence or entry.licence or "not stated"
    payload = {
        "kind": spec.kind,
        "name": spec.name,
        "summary": spec.summary,
        "references": list(spec.references),
        "licence": licence,
        "distribution": entry.distribution,
        "version": entry.version,
        "module": entry.module,
        "options": options,
    }
    lines = [f"{spec.kind}.{spec.name}: {spec.summary}"]
    lines += [f"  {reference}" for reference in spec.references]
    lines.append(f"from {entry.distribution} {entry.version} ({entry.module}), licence: {licence}")
    if options:
        lines += ["", "options:"]
    for row in options:
        meaning = f"  {row['description']}" if row["description"] else ""
        default = default_text(row)
        equals = " " if row.get("required") else " = "
        lines.append(f"  {row['name']}: {row['type']}{equals}{default}{meaning}")
    emit(payload, as_json, lines)


@command.command("new")
@click.argument("name")
@click.option(
    "--kind",
    default="flow",
    show_default=True,
    help=f"What it is to be: {', '.join(KINDS[:-1])} or {KINDS[-1]}.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="The folder to make the package in.  [default: here]",
)
def new_command(name: str, kind: str, output: Path) -> None:
    """Write a package with a component NAME: options, tests, entry point; it works as written."""
    import shlex

    from hvae_core.plugins.scaffold import CHECKED, new_package

    folder = new_package(name, output, kind)
    place = folder if folder.is_absolute() else f"./{folder}"
    emit(
        None,
        False,
        [
            f"{folder} is written. Install it with its tests, and try it:",
            f"  pip install -e {shlex.quote(f'{place}[test]')}",
            f"  hvae plugins {'check' if kind in CHECKED else 'show'} {kind}.{name}",
            f"  pytest {shlex.quote(str(folder))}",
        ],
    )


@command.command("check")
@click.argument("name")
@click.option(
    "--options",
    "configs",
    multiple=True,
    metavar="YAML",
    help="Options to try it with, such as '{layers: 4}'. Repeatable.  [default: the component's "
    "trials, else none]",
)
@json_option
def check_command(name: str, configs: tuple[str, ...], as_json: bool) -> None:
    """Run the contract's tests on a component, NAME being kind.name or a name."""
    from hvae_core.backends.selection import select_backend
    from hvae_core.errors import HvaeError
    from hvae_core.plugins.testing.checking import check_component

    entry = find_entry(name)
    options = [_mapping(text) for text in configs]
    backend = select_backend()
    plain = f"{entry.distribution}:{entry.name}" if entry.status == "conflict" else entry.name
    # Where it is now: pytest puts another in its place.
    tell = None if as_json else functools.partial(click.echo, file=sys.stdout)
    report = check_component(entry.kind, plain, options, tell)
    payload = {
        "component": entry.full_name,
        "backend": backend,
        "sound": report.sound,
        **dataclasses.asdict(report),
    }
    if not report.sound:
        error = HvaeError(
            f"{entry.full_name} does not keep its contract on {backend}: "
            f"{len(report.failures)} of {report.passed + len(report.failures)} tests failed."
        )
        if not as_json:
            raise error
        emit({**payload, "error": error.to_dict()}, True)  # one document, not two
        click.get_current_context().exit(error.exit_code)
    skipped = f", {report.skipped} skipped" if report.skipped else ""
    told = f"{entry.full_name} keeps its contract on {backend}"
    emit(payload, as_json, [f"{told}: {report.passed} tests passed{skipped}."])


def _mapping(text: str) -> dict[str, Any]:
    from hvae_core.errors import BadInputError
    from hvae_core.files.yaml_files import parse_yaml

    hint = "Write it like --options '{layers: 4}'"
    value = parse_yaml(text, f"--options {text!r}", BadInputError, hint)
    if not isinstance(value, dict):
        raise BadInputError(f"--options {text!r} is no YAML mapping.", hint)
    return value


def find_entry(name: str) -> Any:
    """The entry that ``kind.name`` or a bare name means.

    Raises:
        PluginError: there is none, or several kinds have the name.
    """
    from hvae_core.errors import PluginError, did_you_mean
    from hvae_core.plugins import manager

    kind, dot, rest = name.partition(".")
    if dot and kind in KINDS:
        return manager().find(kind, rest)
    entries = manager().entries()
    matching = [entry for entry in entries if entry.name == name]
    if not matching:
        raise PluginError(
            f"There is no component named {name!r}.",
            did_you_mean(name, [n for e in entries for n in (e.name, e.full_name)]),
        )
    kinds = sorted({entry.kind for entry in matching})
    if len(kinds) > 1:
        choices = " or ".join(f"{kind}.{name}" for kind in kinds)
        raise PluginError(f"{len(kinds)} kinds have a component {name!r}.", f"Write {choices}.")
    return manager().find(kinds[0], name)


def option_rows(config_class: type) -> list[dict[str, Any]]:
    """The options of a component: name, type, default, description, whether it is required."""
    import pydantic

    schema = pydantic.TypeAdapter(config_class).json_schema()
    rows = []
    for name, field in schema.get("properties", {}).items():
        rows.append(
            {
                "name": name,
                "type": type_name(field),
                "default": field.get("default"),
                "description": field.get("description", ""),
                **({"required": True} if name in schema.get("required", []) else {}),
            }
        )
    return rows


def type_name(schema: dict[str, Any]) -> str:
    """A short name of a JSON schema's type, with its bounds."""
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        parts = [kind for part in schema["anyOf"] for kind in type_name(part).split(" or ")]
        return " or ".join(dict.fromkeys(parts))
    if "$ref" in schema:
        return "section"
    name = {"integer": "int", "number": "float", "string": "str", "boolean": "bool",
            "null": "null"}.get(schema.get("type", ""), schema.get("type", "any"))  # fmt: skip
    if name == "array":
        return f"list of {type_name(schema.get('items', {}))}"
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (
            ("minimum", ">="),
            ("exclusiveMinimum", ">"),
            ("maximum", "<="),
            ("exclusiveMaximum", "<"),
        )
        if key in schema
    ]
    return f"{name} {' '.join(bounds)}".strip()


def yaml_text(value: Any) -> str:
    """A default as a configuration file has it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {yaml_text(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(yaml_text, value))}]"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value) or "''"


def default_text(row: Mapping[str, Any]) -> str:
    """The default of one of `option_rows`, see `yaml_text`, or ``(required)``."""
    return "(required)" if row.get("required") else yaml_text(row["default"])


def _table(rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "name", "from", "status", "reason"):
        table.add_column(heading)
    for row in rows:
        origin = f"{row['distribution']} {row['version']}".strip()
        cells = (row["kind"], row["name"], origin, row["status"], row["reason"])
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table
