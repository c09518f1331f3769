"""``hvae sample``: images from a model's prior."""

from __future__ import annotations

import click

from hvae_core.cli.common import (
    batch_size_option,
    emit,
    json_option,
    progress_bar,
    seed_option,
    temperature_option,
)


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN")
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=16, show_default=True,
    help="Number of images.",
)  # fmt: skip
@temperature_option
@seed_option
@click.option(
    "-o", "--output", default="samples.png", show_default=True,
    help="A grid (.png), an array (.npz), or a folder for a PNG each.",
)  # fmt: skip
@click.option("--columns", type=click.IntRange(min=1), help="Images in a row of the grid.")
@batch_size_option
@json_option
def command(
    source: str,
    count: int,
    temperature: float,
    seed: int,
    output: str,
    columns: int | None,
    batch_size: int,
    as_json: bool,
) -> None:
    """Draw images from the prior of a model.

    An image depends on the seed and its number alone. Images go to a folder as they are drawn, so
    that any number fits into memory.
    """
    from hvae_core.api import load
    from hvae_core.inference.batching import check_temperature
    from hvae_core.inference.saving import check_output, save_images

    check_temperature(temperature)
    check_output(output)
    model = load(source)
    from hvae_core.inference.sampling import sample_batches

    with progress_bar("sampling", as_json) as progress:
        batches = sample_batches(model, count, temperature, seed, batch_size=min(batch_size, count))
        save_images(batches, output, columns, lambda done: progress(done, count))
    payload = {"output": output, "images": count, "temperature": temperature, "seed": seed}
    emit(payload, as_json, [f"{count} images in {output}"])
