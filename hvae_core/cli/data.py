"""``hvae data``: the data sets, where they come from, and bringing them to this machine."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from hvae_core.cli.common import emit, json_option, progress_console
from hvae_core.cli.plugins import default_text, option_rows


@click.group()
def command() -> None:
    """List, show and prepare data sets."""


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the data sets, those of other packages too."""
    from hvae_core.errors import HvaeError
    from hvae_core.plugins import manager

    rows = []
    for entry in manager().entries("dataset"):
        row = {"name": entry.name, "distribution": entry.distribution, "status": entry.status}
        try:
            row["summary"] = manager().get("dataset", entry.name).summary
            row["status"] = "available"
        except HvaeError as error:  # a broken one must not hide the others
            row["summary"] = error.message
        rows.append(row)
    if as_json:
        return emit(rows, True, ())
    return emit(None, False, _table(("name", "summary"), rows))


@command.command("show")
@click.argument("name")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set an option.")
@json_option
def show_command(name: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show the data set NAME: origin, licence, sizes and options."""
    from hvae_core.plugins import manager

    spec = manager().get("dataset", name)
    options = [
        {"option": row.pop("name"), "required": row.get("required", False), **row}
        for row in option_rows(spec.config)
    ]
    payload: dict[str, Any] = {
        "name": name,
        "summary": spec.summary,
        "references": list(spec.references),
        "options": options,
    }
    if overrides or not any(option["required"] for option in options):
        dataset = _component(name, overrides).build()
        info = dataclasses.asdict(dataset.info)
        payload |= {**info, "sizes": dict(info["sizes"]), "shape": list(dataset.shape)}
    if as_json:
        return emit(payload, True, ())
    from rich.console import Group

    shape = "x".join(str(side) for side in payload.get("shape", ()))
    lines = [
        f"{key}: {shape if key == 'shape' else _text(value)}"
        for key, value in payload.items()
        if key != "options" and value not in ("", 0, [], {})
    ]
    cells = [{**option, "default": default_text(option)} for option in options]
    table = _table(("option", "type", "default", "description"), cells)
    return emit(None, False, Group(*lines, "", table))


@command.command("prepare")
@click.argument("name")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set an option, such as root=FOLDER.",
)
@json_option
def prepare_command(name: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Download the data set NAME where it has a public source, and check its files."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from hvae_core.data import open_dataset
    from hvae_core.data.duplicates import shared_images
    from hvae_core.data.fingerprints import fingerprint

    component = _component(name, overrides)
    console = progress_console()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        task = bars.add_task(name, total=None)

        def progress(done: int, total: int | None) -> None:
            bars.update(task, completed=done, total=total)

        dataset = open_dataset(component, progress)
        dataset.prepare()
        prints = {split: fingerprint(dataset.load(split)) for split in dataset.splits}
        notes = [*dataset.notes(), *shared_images(dataset, prints)]
    splits = {split: found.images for split, found in prints.items()}
    shape = list(dataset.shape)
    lines = [f"{split}: {count:,} images" for split, count in splits.items()]
    lines.append("shape: " + "x".join(str(side) for side in shape))
    payload = {
        "name": name,
        "splits": splits,
        "shape": shape,
        "notes": notes,
        "sha256": {split: found.sha256 for split, found in prints.items()},
    }
    emit(payload, as_json, [*lines, *notes])


def _component(name: str, overrides: tuple[str, ...]) -> Any:
    from hvae_core.config import parse_config

    keys = [item if item.startswith("data.") else f"data.{item}" for item in overrides]
    return parse_config({"data": {"name": name}}, keys).data


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; ".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in columns:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(row[title])) for title in columns))
    return table
