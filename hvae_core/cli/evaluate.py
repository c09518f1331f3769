"""``hvae evaluate``: the figures of a model on a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from hvae_core.cli.common import (
    WholeNumber,
    batch_size_option,
    emit,
    json_option,
    progress_bar,
    seed_option,
)
from hvae_core.cli.images import chosen_dataset, dataset_options, other_ways


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@dataset_options
@click.option(
    "--importance-samples", type=WholeNumber(1), metavar="K",
    help="Also the importance-weighted bound with K draws an image.",
)  # fmt: skip
@click.option(
    "--measurement", metavar="NAME[:VALUE][,OPTION=VALUE]",
    help="Instead: how well the images are completed from this, such as columns:0.25, beside two "
    "baselines.",
)  # fmt: skip
@click.option(
    "--draws", type=WholeNumber(2), metavar="N",
    help="With --measurement: draws of each image (else 32).",
)  # fmt: skip
@click.option(
    "--unadapted", metavar="PRESET|RUN|EXPORT",
    help="With --measurement: the model before its encoder saw measurements, a baseline.",
)  # fmt: skip
@click.option("--limit", type=WholeNumber(1), help="Only the first so many images.")
@click.option(
    "--bounds", metavar="FILE",
    help="Keep each image's bounds in this JSON file; an evaluation that was interrupted goes on "
    "from it.",
)  # fmt: skip
@seed_option
@batch_size_option
@json_option
def command(
    source: str,
    dataset: str | None,
    split: str,
    overrides: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a model on the images of a split (by default all of its data set's test split)."""
    from hvae_core.api import evaluate, load_runnable

    _choose_backend(source)
    options = _of_completion(options)
    model = load_runnable(source)
    chosen = chosen_dataset(model.config, dataset, overrides)
    with progress_bar("evaluating", as_json), other_ways():
        figures = evaluate(model, chosen, split, **options)
    for note in chosen.notes():
        click.echo(note, err=True)
    for warning in _warnings(figures, dataset is None and not overrides):
        click.echo(warning, err=True)
    if model.measurement is not None and options.get("measurement") is None:
        click.echo(
            "The encoder saw measurements of the images. --measurement tells how well it completes "
            "them.",
            err=True,
        )
    table = _table if options.get("measurement") is None else _completion_table
    emit(figures, as_json, None if as_json else table(source, figures))


def _choose_backend(source: str) -> None:
    """Evaluate with OpenVINO where that is quickest, and say so; not with others' components."""
    from hvae_core.backends.selection import quickest_to_evaluate, select_backend
    from hvae_core.errors import HvaeError
    from hvae_core.exported import is_export_folder
    from hvae_core.zoo.finding import find_configuration

    quickest = quickest_to_evaluate()
    if quickest is None or is_export_folder(source):
        return
    try:
        foreign = find_configuration(source).foreign_plugins()
    except HvaeError:  # which loading the model will tell
        return
    if not foreign:
        select_backend(quickest)
        click.echo("Evaluating with OpenVINO; --backend chooses another.", err=True)


def _of_completion(options: dict[str, Any]) -> dict[str, Any]:
    """The options of one of the two evaluations, with the unadapted model in place of its name.

    Raises:
        BadInputError: options of both are given.
    """
    from hvae_core.api import load_runnable
    from hvae_core.errors import BadInputError

    completes = options["measurement"] is not None
    others = (
        ("importance_samples", "bounds") if completes else ("draws", "unadapted", "measurement")
    )
    for name in others:
        if options[name] is not None:
            option = f"--{name.replace('_', '-')}"
            relation = "cannot be combined with" if completes else "needs"
            raise BadInputError(f"{option} {relation} --measurement.")
    kept = {key: value for key, value in options.items() if key not in others and value is not None}
    if "unadapted" in kept:
        kept["unadapted"] = load_runnable(kept["unadapted"])
    return kept


def _completion_table(source: str, figures: dict[str, Any]) -> Any:
    from rich.table import Table

    title = (
        f"{source} on {figures['dataset']}, {figures['split']}, {figures['images']} images, "
        f"{figures['known']:.1%} known, {figures['draws']} draws"
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    columns = {"": figures, **figures["baselines"]}
    table.add_column("figure")
    for name in columns:
        table.add_column(name.replace("_", " ") or "model", justify="right")
    for key, label, digits in (
        ("psnr_of_mean", "PSNR of the mean (dB)", 2),
        ("psnr_of_draws", "PSNR of a draw (dB)", 2),
        ("ssim_of_mean", "SSIM of the mean", 3),
        ("ssim_of_draws", "SSIM of a draw", 3),
        ("coverage_50", "coverage of the 50 % interval", 3),
        ("coverage_90", "coverage of the 90 % interval", 3),
        ("bits_per_dim", "ELBO (bits/dim)", 4),
        ("elbo", "ELBO (nats)", 2),
    ):
        cells = [f"{of[key]:.{digits}f}" if key in of else "" for of in columns.values()]
        table.add_row(label, *cells)
    return table


def _warnings(figures: dict[str, Any], of_the_run: bool) -> Iterator[str]:
    """What makes the figures others than they seem.

    Args:
        figures: of the evaluation.
        of_the_run: whether the data set is the one that the model was trained with.
    """
    split, seen = figures["split"], figures.get("in_training_split")
    if seen and split != "train":
        yield (
            f"Warning: {seen:,} of the {figures['images']:,} {split} images are among those that "
            "the model was trained or validated on, pixel for pixel."
        )
    if of_the_run and figures.get("changed"):
        yield f"Warning: the {split} images are not those of when the model was trained."


def _table(source: str, figures: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.table import Table

    title = f"{source} on {figures['dataset']}, {figures['split']}, {figures['images']} images"
    if "bound_on" in figures:
        title += f": bounds on {figures['bound_on']}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    if figures["unit"] == "bits/dim":
        error = figures["bits_per_dim_standard_error"]
        table.add_row("ELBO", f"{figures['bits_per_dim']:.4f} ± {error:.4f}", "bits/dim")
    nats = "nats" if "bits_per_dim" in figures else "nats, of a density"
    table.add_row("ELBO", f"{figures['elbo']:.2f} ± {figures['elbo_standard_error']:.2f}", nats)
    table.add_row("log-likelihood", f"{figures['log_likelihood']:.2f}", nats)
    table.add_row("KL", f"{figures['kl']:.2f}", "nats")
    if "importance_weighted" in figures:
        samples = figures["importance_samples"]
        name = f"importance-weighted, {samples} draws"
        error = figures["importance_weighted_standard_error"]
        table.add_row(name, f"{figures['importance_weighted']:.2f} ± {error:.2f}", nats)
        if figures["unit"] == "bits/dim":
            bits = figures["importance_weighted_bits_per_dim"]
            table.add_row(name, f"{bits:.4f}", "bits/dim")
    layers = Table(title="layers, coarsest first", title_justify="left", box=None, pad_edge=False)
    for heading in ("layer", "KL (nats)", "active units"):
        layers.add_column(heading, justify="right")
    rows = zip(figures["kl_per_layer"], figures["active_units"], figures["units"], strict=True)
    for index, (kl, active, units) in enumerate(rows):
        layers.add_row(str(index), f"{kl:.3f}", f"{active} of {units}")
    if "sha256" not in figures:
        return Group(table, "", layers)
    known = f"images: sha256 {figures['sha256']}"
    if "changed" in figures:
        known += f", {'not ' if figures['changed'] else ''}the same as when the model was trained"
    return Group(table, "", layers, "", known)
