"""``hvae zoo``: the presets on this machine and where they come from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import click

from hvae_core.cli.common import emit, json_option
from hvae_core.cli.zoo_transfer import pull_command, push_command
from hvae_core.zoo.finding import TASKS


@click.group()
def command() -> None:
    """List, show, pull, verify, prune and push presets."""


command.add_command(pull_command)
command.add_command(push_command)


@command.command("list")
@click.argument("pattern", default="*")
@click.option(
    "--weights/--no-weights",
    default=None,
    help="Only presets whose weights are here or can be pulled, or only those without.",
)
@click.option("--data", metavar="NAME", help="Only presets of this data set, such as cifar10.")
@click.option(
    "--task",
    metavar="COMMAND",
    help=f"Only presets that this can be done with: {', '.join(TASKS)} (a checkpoint of the "
    "original).",
)
@json_option
def list_command(
    pattern: str, weights: bool | None, data: str | None, task: Any, as_json: bool
) -> None:
    """List the presets whose name matches PATTERN, such as 'cifar10*'.

    Those with weights are first, by data set, the best of each before the others.
    """
    from hvae_core.errors import PresetError, did_you_mean
    from hvae_core.zoo import list_presets, preset_summary

    summaries = []
    for name in list_presets(pattern, weights=weights, data=data, task=task):
        try:
            summaries.append(preset_summary(name))
        except PresetError as error:  # one damaged preset must not hide the others
            summaries.append({"name": name, "summary": str(error), "weights": "damaged"})
    summaries.sort(key=_best_first)
    if data is not None and not summaries:
        known = {preset_summary(name)["data"] for name in list_presets(task="train")}
        if data not in known:
            raise PresetError(f"No preset is of the data {data!r}.", did_you_mean(data, known))
    if not summaries and not list_presets(pattern):
        raise PresetError(
            f"No preset matches {pattern!r}.", did_you_mean(pattern.strip("*"), list_presets())
        )
    nothing = "No preset is like that." if list_presets(pattern) else "There are no presets."
    emit(summaries, as_json, (_table(summaries) if summaries else nothing) if not as_json else ())


@command.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Show the preset NAME: figures, architecture, data, training, licence."""
    from hvae_core.zoo import find_preset, preset_summary
    from hvae_core.zoo.cards import model_card

    preset = find_preset(name)
    config = preset.config
    if as_json:
        payload = {
            **preset_summary(preset),
            "image_shape": list(config.model.image_shape),
            "latent_layers": len(config.model.latent_shapes),
            "figures": dict(preset.figures),
            "weights_file": str(preset.weights_path) if preset.weights_path else None,
            "weights_sha256": preset.weights.sha256,
            "sources": list(preset.weights.sources),
            "config": config.to_dict(),
        }
        return emit(payload, True, ())
    from rich.markdown import Markdown

    return emit(None, False, Markdown(model_card(preset)))


@command.command("verify")
@click.argument("names", nargs=-1)
@json_option
def verify_command(names: tuple[str, ...], as_json: bool) -> None:
    """Check the weights of the presets NAMES, or of all that have weights here."""
    from hvae_core.errors import PresetError
    from hvae_core.zoo import find_preset, list_presets, verify

    reports, faults = [], []
    for name in names or list_presets():
        try:
            if names or find_preset(name).weights_path is not None:
                reports.append(verify(name))
        except PresetError as error:
            faults.append(error)
    lines = [
        f"{r.name}: ok, {r.tensors} tensors, {r.parameters:,} parameters"
        + ("" if r.recorded else " (no checksum recorded)")
        for r in reports
    ]
    if not faults:
        return emit([r.to_dict() for r in reports], as_json, lines or ["No weights are here yet."])
    if not as_json:
        emit(None, False, lines)
    if len(faults) == 1:
        raise faults[0]
    raise PresetError(
        f"{len(faults)} presets fail: {' '.join(error.message for error in faults)}",
        faults[0].hint,
    )


@command.command("prune")
@click.argument("names", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def prune_command(names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Remove the pulled presets NAMES, or what nothing uses any more.

    Unused are interrupted pulls, leftovers of killed processes, and weights of another version
    than the installed preset's. Presets that came with a package are never touched.
    """
    from hvae_core.zoo import prune

    gone = prune(names, dry_run=dry_run)
    lines = [f"{item.name}: {item.reason}, {item.size:,} bytes, {item.folder}" for item in gone]
    total = sum(item.size for item in gone)
    done = "would go" if dry_run else "removed"
    lines.append(f"{total:,} bytes {done}" if gone else "Nothing to remove.")
    emit({"dry_run": dry_run, "removed": [i.to_dict() for i in gone]}, as_json, lines)


def _best_first(summary: Mapping[str, Any]) -> tuple[Any, ...]:
    """The place of a preset in a listing: a key to sort summaries by.

    Those with weights are first, by data set; of each, those with the best bound, and those without
    one last. A bound given a condition or a measurement is of something else than one of log p(x),
    and comes after it.
    """
    bits, nats = summary.get("bits_per_dim"), summary.get("nats")
    bound = bits if bits is not None else -nats if nats is not None else math.inf
    without = summary["weights"] in ("none", "damaged")
    given = any(summary.get(key) is not None for key in ("condition", "measurement"))
    return without, summary.get("data", ""), given, bound, summary["name"]


def _table(summaries: Iterable[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("name", "summary", "data"):
        table.add_column(title, overflow="fold")
    for title in ("parameters", "bits/dim", "nats"):
        table.add_column(title, justify="right")
    table.add_column("weights")
    for row in summaries:
        parameters, bits, nats = (row.get(key) for key in ("parameters", "bits_per_dim", "nats"))
        table.add_row(
            *(Text(str(row.get(key, ""))) for key in ("name", "summary", "data")),
            f"{parameters:,}" if isinstance(parameters, int) else "",
            f"{bits:.3f}" if bits is not None else "",
            f"{nats:.2f}" if nats is not None else "",
            _how(row),
        )
    return table


def _how(row: dict[str, Any]) -> str:
    """Where the weights are, or how they are to be had."""
    if row["weights"] != "none":
        return str(row["weights"])
    from hvae_core.zoo.finding import preset_tasks

    return "none: import" if "import" in preset_tasks(row["name"]) else "none: train"
