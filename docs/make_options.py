"""Makes docs/options.md from the configuration's own types: ``python docs/make_options.py``."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path

import pydantic

from hvae_core.cli.plugins import option_rows, yaml_text
from hvae_core.config import Config
from hvae_core.plugins import manager

PAGE = Path(__file__).parent / "options.md"
HEAD = """# Options

Every option of a configuration, made by `python docs/make_options.py`; do not edit.

A per-scale option takes one value for all scales, or a list with one value a scale, finest first.
A component (block, likelihood, data set...) is its name, or a mapping with `name` and its options.
On the command line: `--set train.batch_size=64`, `--set likelihood.mixtures=5`. `hvae config show`
prints the resolved configuration, `hvae config schema` its JSON schema.

An option that may be unset is unset by `null`, in a file and after `--set` alike. One without a
default is required.
"""


def table(rows: list[dict]) -> Iterator[str]:
    """A Markdown table of options."""
    yield "| option | type | default | meaning |"
    yield "|-|-|-|-|"
    for row in rows:
        default = "" if row.get("required") else f"`{yaml_text(row['default'])}`"
        kind, meaning = (row[key].replace("|", "\\|") for key in ("type", "description"))
        yield f"| `{row['name']}` | {kind} | {default} | {meaning} |"


def sections(model: type[pydantic.BaseModel], prefix: str = "") -> Iterator[tuple[str, type]]:
    """A configuration's sections and their paths, outer ones first."""
    yield prefix, model
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
                yield from sections(kind, f"{prefix}.{name}".lstrip("."))


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for prefix, model in sections(Config):
        nested = {path for path, _ in sections(model, prefix)} - {prefix}
        lines.append(f"## {prefix or 'Top level'}\n")
        rows = [
            {**row, "name": f"{prefix}.{row['name']}".lstrip(".")} for row in option_rows(model)
        ]
        lines += [*table([row for row in rows if row["name"] not in nested]), ""]
    lines.append("## Components\n")
    for entry in manager().entries():
        if entry.kind == "preset" or entry.distribution != "hvae":
            continue
        spec = manager().get(entry.kind, f"{entry.distribution}:{entry.name}")
        lines.append(f"### {spec.kind} `{spec.name}`\n\n{spec.summary}.\n")
        rows = option_rows(spec.config)
        lines += [*table(rows), ""] if rows else ["No options.\n"]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
