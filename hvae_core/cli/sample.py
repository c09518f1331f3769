"""``hvae sample``: images from a model's prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hvae_core.cli.common import (
    Real,
    WholeNumber,
    at_size,
    batch_size_option,
    emit,
    json_option,
    progress_bar,
    refuse_given,
    seed_option,
    size_option,
    temperature_option,
)

if TYPE_CHECKING:
    from hvae_core.exported.exported_model import Mode


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@click.option(
    "-n", "count", type=WholeNumber(1), default=16, show_default=True,
    help="Number of images.",
)  # fmt: skip
@click.option(
    "--condition", "conditions", multiple=True, metavar="CLASS|NUMBERS|all",
    help="Of a conditional model: a class's number or name, or numbers: 1.5,2 or age=40,bmi=22. "
    "Repeatable, or all for every class: -n images of each, a row of the grid each.",
)  # fmt: skip
@click.option(
    "--guidance", type=Real(), metavar="G",
    help="How far from the null condition's prior (0) to the condition's (1) and beyond, of a "
    "model trained with model.condition.dropout.",
)  # fmt: skip
@temperature_option
@seed_option
@click.option(
    "-o", "--output", default="samples.png", show_default=True,
    help="A grid (.png), an array (.npz), or a folder for a PNG each.",
)  # fmt: skip
@click.option("--columns", type=WholeNumber(1), help="Images in a row of the grid.")
@batch_size_option
@size_option
@click.option(
    "--mode", type=click.Choice(["latency", "throughput"]),
    help="Of an exported model: a batch has all cores (latency, the default) or is divided among "
    "them (throughput: most images an hour).",
)  # fmt: skip
@json_option
def command(
    source: str,
    count: int,
    conditions: tuple[str, ...],
    guidance: float | None,
    temperature: float,
    seed: int,
    output: str,
    columns: int | None,
    batch_size: int,
    size: tuple[int, int] | None,
    mode: Mode | None,
    as_json: bool,
) -> None:
    """Draw images from the prior of a model.

    An image depends on the seed and its number alone. Images go to an array or a folder as they
    are drawn, so that any number fits into memory. An exported model starts and runs fastest.
    """
    from hvae_core.api import load_runnable
    from hvae_core.cli.conditions import read_conditions
    from hvae_core.images.grids import check_grid
    from hvae_core.images.saving import check_output, save_images
    from hvae_core.inference.arguments import check_temperature
    from hvae_core.inference.sampling import sample_batches

    check_temperature(temperature)
    kind = check_output(output)
    if kind != "png":
        refuse_given("--columns", why=f"{output} is no grid", hint="Leave it out, or name a .png.")
    model = at_size(load_runnable(source, mode), size)
    rows = read_conditions(model.condition_values, conditions)
    total = count if rows is None else count * len(rows)
    if total > count and columns is None:
        columns = count
    if kind == "png":
        check_grid(total, model.image_shape, columns)
    condition = None if rows is None else rows.repeat(count, axis=0)

    with progress_bar("sampling", as_json):
        batches = sample_batches(
            model,
            total,
            temperature,
            seed,
            batch_size=min(batch_size, total),
            condition=condition,
            guidance=guidance,
        )
        save_images(batches, output, total, columns, model.image_values)
    payload = {"output": output, "images": total, "temperature": temperature, "seed": seed}
    if conditions:
        payload |= {"conditions": list(conditions), "guidance": guidance}
    emit(payload, as_json, [f"{total} images in {output}"])
