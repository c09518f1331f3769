"""``hvae reconstruct``: images through the latents and back."""

from __future__ import annotations

from typing import Any

import click

from hvae_core.cli.common import emit, json_option, seed_option, temperature_option
from hvae_core.cli.images import (
    chosen_dataset,
    dataset_images,
    dataset_options,
    other_ways,
    read_images,
)


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@click.option(
    "--images", multiple=True, metavar="FILE|DIR|NPZ",
    help="An image of yours, a folder of them, or an array. Repeatable.",
)  # fmt: skip
@dataset_options
@click.option(
    "--count", type=click.IntRange(min=1), default=8, show_default=True,
    help="Images of the data set, where no --images are given.",
)  # fmt: skip
@click.option(
    "--latents", type=click.IntRange(min=0),
    help="So many leading latents from the image, the rest from the prior (else all).",
)  # fmt: skip
@temperature_option
@seed_option
@click.option("-o", "--output", default="reconstructions.png", show_default=True,
              help="A grid (.png), an array (.npz), or a folder for a PNG each.")  # fmt: skip
@json_option
def command(
    source: str,
    images: tuple[str, ...],
    dataset: str | None,
    split: str,
    overrides: tuple[str, ...],
    count: int,
    **options: Any,
) -> None:
    """Encode images and draw them again; the grid has the originals above.

    With --latents k the rest of the hierarchy is drawn from the prior: what is kept shows what the
    first k latents hold.
    """
    from hvae_core.api import load_runnable
    from hvae_core.images.saving import check_output, save_images
    from hvae_core.inference.arguments import check_temperature

    output = options["output"]
    temperature = float(check_temperature(options["temperature"]))
    kind = check_output(output)
    model = load_runnable(source)
    if images:
        originals = read_images(images, model)
    else:
        chosen = chosen_dataset(model.config, dataset, overrides)
        model.check_images(chosen.shape)
        with other_ways("--images FILE"):
            originals = dataset_images(chosen, split, range(count))
    drawn = model.reconstruct(
        originals, latents=options["latents"], seed=options["seed"], temperature=temperature
    )
    batches = [originals, drawn] if kind == "png" else [drawn]
    save_images(batches, output, columns=len(originals))
    payload = {"output": output, "images": len(originals), "latents": options["latents"]}
    emit(payload, options["as_json"], [f"{len(originals)} reconstructions in {output}"])
