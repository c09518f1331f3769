"""``hvae evaluate``: the figures of a model on a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from hvae_core.cli.common import batch_size_option, emit, json_option, progress_bar, seed_option
from hvae_core.cli.images import chosen_dataset, dataset_options, other_ways


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@dataset_options
@click.option(
    "--importance-samples", type=click.IntRange(min=1), metavar="K",
    help="Also the importance-weighted bound with K draws an image.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many images.")
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

    model = load_runnable(source)
    chosen = chosen_dataset(model.config, dataset, overrides)
    with progress_bar("evaluating", as_json) as progress, other_ways():
        figures = evaluate(model, chosen, split, progress=progress, **options)
    for warning in _warnings(figures, dataset is None and not overrides):
        click.echo(warning, err=True)
    emit(figures, as_json, None if as_json else _table(source, figures))


def _warnings(figures: dict[str, Any], of_the_run: bool) -> Iterator[str]:
    """What makes the figures others than they seem.

    Args:
        figures: of the evaluation.
        of_the_run: whether the data set is the one that the run was started with.
    """
    split, seen = figures["split"], figures.get("in_training_split")
    if seen and split != "train":
        yield (
            f"Warning: {seen:,} of the {figures['images']:,} {split} images are among those that "
            "the model was trained or validated on, pixel for pixel."
        )
    if of_the_run and figures.get("changed"):
        yield f"Warning: the {split} images have changed since the run was started."


def _table(source: str, figures: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.table import Table

    title = f"{source} on {figures['dataset']}, {figures['split']}, {figures['images']} images"
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
        table.add_row(name, f"{figures['importance_weighted']:.2f}", nats)
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
    return Group(table, "", layers, "", f"images: sha256 {figures['sha256']}")
