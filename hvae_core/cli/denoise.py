"""``hvae denoise``: clean images from noisy ones, under a noise model."""

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
    refuse_given,
    seed_option,
    size_option,
    tile_options,
)
from hvae_core.cli.conditions import condition_option, conditions_of
from hvae_core.cli.images import Selection, image_options


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@image_options
@click.option(
    "-n", "number", type=WholeNumber(1), default=100, show_default=True,
    help="Draws for each image, of which the mean is taken.",
)  # fmt: skip
@click.option(
    "--draws", "kept", type=WholeNumber(0),
    help="Draws that are written too (else 3).",
)  # fmt: skip
@condition_option
@seed_option
@batch_size_option
@size_option
@tile_options
@click.option("-o", "--output", default="denoised.png", show_default=True,
              help="A grid (.png), arrays (.npz), or a folder with a file each.")  # fmt: skip
@json_option
def command(
    source: str,
    selection: Selection,
    **options: Any,
) -> None:
    """Clean noisy images with a model that was trained on noisy ones.

    Its likelihood is the noise-model. The mean of many draws from the posterior is the estimate. A
    grid has a row for each image: noisy, the mean, and single draws. An archive has the arrays
    noisy, mean, std and draws, the last three floating-point numbers in native units; a folder has
    the means alone. With --tile images are of any size; they are never resized, which would change
    their noise. A model that was trained on measurements sees those of the images.
    """
    import numpy as np

    from hvae_core.api import load_runnable
    from hvae_core.errors import BadInputError
    from hvae_core.evaluation.measured_inputs import inputs_of
    from hvae_core.images.grids import check_grid
    from hvae_core.images.saving import check_output, save_arrays, save_images

    output, number = options["output"], options["number"]
    kind = check_output(output)
    if kind == "folder" and options["kept"]:
        refuse_given("--draws", why="a folder has the means alone", hint="Name a .png or an .npz.")
    model = at_size(load_runnable(source), options["size"])
    tile, overlap = options["tile"], options["overlap"]
    whole = tile is not None or overlap is not None
    kept = min(3, number) if options["kept"] is None else options["kept"]
    if kept > number:
        raise BadInputError(f"--draws is {kept}; it must be at most -n, which is {number}.")
    noisy = selection.read(model, whole or bool(selection.images))
    size, wanted = noisy.shape[1:3], model.image_shape[:2]
    if not whole and size != wanted:
        raise BadInputError(
            f"The images are of {size[0]}x{size[1]} and the model's of {wanted[0]}x{wanted[1]}; "
            "resizing them would change their noise.",
            "Take images of any size with --tile, or the model at theirs with --size.",
        )
    condition = conditions_of(model, options["condition"], selection, len(noisy))
    kept = 0 if kind == "folder" else kept
    if kind == "png":
        check_grid(len(noisy) * (2 + kept), noisy.shape[1:], 2 + kept)
    with progress_bar("denoising", options["as_json"]):
        found = model.denoise(
            noisy,
            number,
            seed=options["seed"],
            keep=kept,
            batch_size=options["batch_size"],
            tile=tile,
            overlap=overlap,
            condition=condition,
            inputs=inputs_of(model, noisy, options["seed"]),
        )
    values = model.image_values
    if kind == "npz":
        save_arrays(output, noisy=noisy, mean=found.mean, std=found.std, draws=found.draws)
    elif kind == "folder":
        save_images([values.rounded(found.mean)], output, values=values)
    else:
        columns = [noisy, values.rounded(found.mean), *values.rounded(found.draws)]
        grid = np.stack(columns, axis=1).reshape(-1, *noisy.shape[1:])
        save_images([grid], output, columns=2 + kept, values=values)
    payload = {"output": output, "images": len(noisy), "n": number, "draws": kept}
    emit(payload, options["as_json"], [f"{len(noisy)} denoised images in {output}"])
