"""``hvae interpolate``: the way from one image to another."""

from __future__ import annotations

from typing import Any

import click

from hvae_core.cli.common import (
    WholeNumber,
    emit,
    is_large,
    json_option,
    progress_bar,
    refuse_given,
    seed_option,
    shortened,
)
from hvae_core.cli.conditions import read_condition
from hvae_core.cli.given_images import read_image
from hvae_core.cli.images import (
    DATASET_OPTIONS,
    OF_DATA_SETS,
    chosen_dataset,
    dataset_images,
    dataset_options,
    other_ways,
)


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@click.option(
    "--first", default="0", show_default=True, help="An image file, or a number in the data set."
)
@click.option(
    "--second", default="1", show_default=True, help="An image file, or a number in the data set."
)
@dataset_options
@click.option(
    "--steps", type=WholeNumber(2), default=8, show_default=True,
    help="Images on the way, both ends included.",
)  # fmt: skip
@click.option(
    "--condition", metavar="CLASS|NUMBERS",
    help="Of a conditional model: a class's number or name, or numbers: 1.5,2 or age=40,bmi=22, "
    "which both ends are taken to have (else, of a model that was trained to do without, none).",
)  # fmt: skip
@seed_option
@click.option("-o", "--output", default="interpolation.png", show_default=True,
              help="A grid (.png), an array (.npz), or a folder for a PNG each.")  # fmt: skip
@json_option
def command(
    source: str,
    first: str,
    second: str,
    dataset: str | None,
    split: str,
    overrides: tuple[str, ...],
    **options: Any,
) -> None:
    """Walk from one image to another through the latents.

    A model that was trained on measurements sees those of the two images.
    """
    from hvae_core.api import load_runnable
    from hvae_core.errors import BadInputError
    from hvae_core.evaluation.measured_inputs import inputs_of
    from hvae_core.images.grids import check_grid
    from hvae_core.images.saving import check_output, save_images

    output = options["output"]
    kind, steps = check_output(output), options["steps"]
    if not any(name.isdecimal() for name in (first, second)):
        refuse_given(*DATASET_OPTIONS, why=f"{OF_DATA_SETS}, and both ends are files")
    model = load_runnable(source)
    if kind == "png":
        check_grid(steps, model.image_shape, steps)
    ends = []
    for option, name in (("--first", first), ("--second", second)):
        if name.isdecimal() and is_large(name):
            raise BadInputError(
                f"{option} is {shortened(name)}, a larger number than any image of a data set has.",
                "Give one that it has, from 0 on, or an image file.",
            )
        if name.isdecimal():
            chosen = chosen_dataset(model.config, dataset, overrides)
            model.check_images(chosen.shape, chosen.values)
            with other_ways("--first FILE and --second FILE"):
                ends.append(dataset_images(chosen, split, [int(name)])[0])
        else:
            ends.append(read_image(name, model))
    seed = options["seed"]
    seen = [inputs_of(model, end[None], seed, first=i) for i, end in enumerate(ends)]
    given = options["condition"]
    condition = None if given is None else read_condition(model.condition_values, given)
    inputs = None if seen[0] is None else seen
    with progress_bar("interpolating", options["as_json"]):
        images = model.interpolate(
            ends[0], ends[1], steps, seed=seed, condition=condition, inputs=inputs
        )
    save_images([images], output, columns=steps, values=model.image_values)
    emit({"output": output, "images": steps}, options["as_json"],
         [f"{steps} images in {output}"])  # fmt: skip
