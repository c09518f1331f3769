"""``hvae reconstruct``: images through the latents and back."""

from __future__ import annotations

from typing import Any

import click

from hvae_core.cli.common import (
    WholeNumber,
    at_size,
    emit,
    json_option,
    progress_bar,
    refuse_temperature,
    seed_option,
    size_option,
    temperature_option,
    tile_options,
)
from hvae_core.cli.conditions import condition_option, conditions_of
from hvae_core.cli.images import Selection, image_options


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@image_options
@click.option(
    "--latents", type=WholeNumber(0),
    help="So many leading latents from the image, the rest from the prior (else all).",
)  # fmt: skip
@condition_option
@temperature_option
@seed_option
@size_option
@tile_options
@click.option("-o", "--output", default="reconstructions.png", show_default=True,
              help="A grid (.png), an array (.npz), or a folder for a PNG each.")  # fmt: skip
@json_option
def command(
    source: str,
    selection: Selection,
    **options: Any,
) -> None:
    """Encode images and draw them again; the grid has the originals above.

    Images are cropped and resized to the model's size, or to --size; with --tile they keep their
    own. With --latents k the rest of the hierarchy is drawn from the prior: what is kept shows what
    the first k latents hold. A model that was trained on measurements sees those of the images.
    """
    from hvae_core.api import load_runnable
    from hvae_core.evaluation.measured_inputs import inputs_of
    from hvae_core.images.grids import check_grid
    from hvae_core.images.saving import check_output, save_images
    from hvae_core.inference.arguments import check_temperature

    output = options["output"]
    temperature = float(check_temperature(options["temperature"]))
    kind = check_output(output)
    if options["latents"] is None:
        refuse_temperature("--latents")
    model = at_size(load_runnable(source), options["size"])
    tile, overlap = options["tile"], options["overlap"]
    whole = tile is not None or overlap is not None
    originals = selection.read(model, whole)
    if kind == "png":
        check_grid(2 * len(originals), originals.shape[1:], len(originals))
    condition = conditions_of(model, options["condition"], selection, len(originals))
    with progress_bar("reconstructing", options["as_json"]):
        drawn = model.reconstruct(
            originals,
            latents=options["latents"],
            seed=options["seed"],
            temperature=temperature,
            tile=tile,
            overlap=overlap,
            condition=condition,
            inputs=inputs_of(model, originals, options["seed"]),
        )
    batches = [originals, drawn] if kind == "png" else [drawn]
    save_images(batches, output, columns=len(originals), values=model.image_values)
    payload = {"output": output, "images": len(originals), "latents": options["latents"]}
    emit(payload, options["as_json"], [f"{len(originals)} reconstructions in {output}"])
