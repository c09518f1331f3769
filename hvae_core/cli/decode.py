"""``hvae decode``: images from a file of latents."""

from __future__ import annotations

from typing import Any

import click

from hvae_core.cli.common import (
    WholeNumber,
    at_size,
    batch_size_option,
    emit,
    json_option,
    progress_bar,
    refuse_temperature,
    seed_option,
    size_option,
    temperature_option,
)
from hvae_core.cli.conditions import read_condition


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@click.argument("latents", metavar="LATENTS")
@click.option(
    "--layers", type=WholeNumber(1),
    help="Use only the first so many of the file's layers; the rest come from the prior.",
)  # fmt: skip
@click.option(
    "--pixels", type=click.Choice(["sample", "mean", "mode"]), default="sample", show_default=True,
    help="Draw the pixels, or take the likelihood's mean or mode.",
)  # fmt: skip
@click.option(
    "--condition", metavar="CLASS|NUMBERS",
    help="Of a conditional model: a class's number or name, or numbers: 1.5,2 or age=40,bmi=22 "
    "(else none, which a model has to be trained for; LATENTS does not hold what the images were "
    "encoded under).",
)  # fmt: skip
@temperature_option
@seed_option
@batch_size_option
@size_option
@click.option("-o", "--output", default="decoded.png", show_default=True,
              help="A grid (.png), an array (.npz), or a folder for a PNG each.")  # fmt: skip
@json_option
def command(source: str, latents: str, layers: int | None, **options: Any) -> None:
    """Make images of LATENTS, a file that hvae encode or Latents.save wrote.

    Layers that the file lacks are drawn from the prior. With the seed, the batch size and the
    condition of the encoding, the images are those of hvae reconstruct.
    """
    from hvae_core.api import load_runnable
    from hvae_core.images.grids import check_grid
    from hvae_core.images.saving import check_output, save_images
    from hvae_core.inference.arguments import check_temperature
    from hvae_core.inference.latents import Latents

    output = options["output"]
    temperature = float(check_temperature(options["temperature"]))
    kind = check_output(output)
    known = Latents.load(latents)
    if layers is not None:
        known = known.leading(layers)
    model = at_size(load_runnable(source), options["size"])
    if len(known.z) >= len(model.latent_shapes) and all(z is not None for z in known.z):
        refuse_temperature("--layers")
    if kind == "png":
        check_grid(len(known), model.image_shape)
    given = options["condition"]
    condition = None if given is None else read_condition(model.condition_values, given)
    with progress_bar("decoding", options["as_json"]):
        images = model.decode(
            known,
            temperature,
            options["seed"],
            pixels=options["pixels"],
            batch_size=options["batch_size"],
            condition=condition,
        )
    save_images([images], output, values=model.image_values)
    emit({"output": output, "images": len(images), "layers": len(known.z)}, options["as_json"],
         [f"{len(images)} images in {output}"])  # fmt: skip
