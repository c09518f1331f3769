"""``hvae counterfactual``: images as they would be under another condition."""

from __future__ import annotations

from typing import Any

import click

from hvae_core.cli.common import emit, json_option, progress_bar, seed_option
from hvae_core.cli.conditions import conditions_of, read_condition
from hvae_core.cli.images import Selection, image_options


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@image_options
@click.option(
    "--condition", "conditions", multiple=True, required=True, metavar="CLASS|NUMBERS",
    help="What they are to be: a class's number or name, or numbers: 1.5,2 or age=40,bmi=22. "
    "Repeatable: a row of the grid each.",
)  # fmt: skip
@click.option(
    "--own", metavar="CLASS|NUMBERS",
    help="What they are (else the data set's, and of images of yours the likeliest class).",
)  # fmt: skip
@seed_option
@click.option("-o", "--output", default="counterfactuals.png", show_default=True,
              help="A grid (.png), an array (.npz), or a folder for a PNG each.")  # fmt: skip
@json_option
def command(
    source: str,
    selection: Selection,
    conditions: tuple[str, ...],
    own: str | None,
    **options: Any,
) -> None:
    """Encode images under their own condition and decode them under another.

    The grid has the originals above. Under its own condition an image is its reconstruction. A
    model that was trained on measurements sees those of the images.
    """
    import numpy as np

    from hvae_core.api import load_runnable
    from hvae_core.evaluation.measured_inputs import inputs_of
    from hvae_core.images.grids import check_grid
    from hvae_core.images.saving import check_output, save_images
    from hvae_core.inference.counterfactual import likeliest

    output, seed = options["output"], options["seed"]
    kind = check_output(output)
    model = load_runnable(source)
    asked = [read_condition(model.condition_values, text) for text in conditions]
    values = model.condition_values
    assert values is not None  # read_condition refuses a model without one
    for condition in asked:
        values.encode(condition, 1, "--condition")
    originals = selection.read(model)
    if kind == "png":
        check_grid(len(originals) * (1 + len(asked)), originals.shape[1:], len(originals))
    inputs = inputs_of(model, originals, seed)
    known: Any
    with progress_bar("computing counterfactuals", options["as_json"]):
        if selection.images and own is None and values.form == "class":
            known = likeliest(model, originals, seed, inputs=inputs)
        else:
            known = conditions_of(model, own, selection, len(originals), "--own")
        drawn = [
            model.counterfactual(originals, condition, own=known, seed=seed, inputs=inputs)
            for condition in asked
        ]
    batches = [originals, *drawn] if kind == "png" else drawn
    save_images(batches, output, columns=len(originals), values=model.image_values)
    payload = {
        "output": output,
        "images": len(originals),
        "conditions": list(conditions),
        "own": np.asarray(known).tolist(),
    }
    many = len(originals) * len(asked)
    emit(payload, options["as_json"], [f"{many} counterfactuals in {output}"])
