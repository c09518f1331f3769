"""``hvae encode``: the latents of images, as a file."""

from __future__ import annotations

from typing import Any

import click

from hvae_core.cli.common import batch_size_option, emit, json_option, seed_option
from hvae_core.cli.images import chosen_images, image_options


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@image_options
@click.option(
    "--layers", type=click.IntRange(min=1),
    help="Only the first, coarsest so many (else all); nothing after them is computed.",
)  # fmt: skip
@click.option("--mean", is_flag=True, help="The posteriors' means in place of draws.")
@seed_option
@batch_size_option
@click.option("-o", "--output", default="latents.safetensors", show_default=True,
              help="A file of arrays (.safetensors or .npz).")  # fmt: skip
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
    """Write the latents of images: for each layer z, the posterior, the prior and the KL.

    hvae decode makes images of them again; in Python hvae.Latents.load reads them.
    """
    from hvae_core.api import load_runnable
    from hvae_core.inference.latent_files import check_latents_output

    output = options["output"]
    check_latents_output(output)
    model = load_runnable(source)
    originals = chosen_images(model, images, dataset, split, overrides, count)
    latents = model.encode(
        originals,
        layers=options["layers"],
        seed=options["seed"],
        sample=not options["mean"],
        batch_size=options["batch_size"],
    )
    latents.save(output)
    assert latents.kl_per_layer is not None
    payload = {
        "output": output,
        "images": len(latents),
        "shapes": [list(shape) for shape in latents.shapes if shape],
        "kl_per_layer": [round(float(kl), 4) for kl in latents.kl_per_layer.mean(axis=0)],
    }
    summary = f"{output}: images {len(latents)}, latent layers {len(latents.z)}"
    emit(payload, options["as_json"], [summary])
