"""``hvae encode``: the latents of images, as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    tile_options,
)
from hvae_core.cli.conditions import condition_option, conditions_of
from hvae_core.cli.images import Selection, image_options

if TYPE_CHECKING:
    from hvae_core.inference import Latents


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@image_options
@click.option(
    "--layers", type=WholeNumber(1),
    help="Only the first, coarsest so many (else all); nothing after them is computed.",
)  # fmt: skip
@click.option(
    "--keep", type=Real(min=0, max=1), metavar="FRACTION",
    help="Of all channels keep such a part, those with most information; the others are drawn from "
    "the prior (Efficient-VDVAE's pruning).",
)  # fmt: skip
@click.option(
    "--statistics", metavar="FILE",
    help="With --keep: a file of latents, as this command writes it, that tells the information of "
    "each channel, such as of training images; else the images' own do.",
)  # fmt: skip
@click.option("--mean", is_flag=True, help="The posteriors' means in place of draws.")
@condition_option
@seed_option
@batch_size_option
@size_option
@tile_options
@click.option("-o", "--output", default="latents.safetensors", show_default=True,
              help="A file of arrays (.safetensors or .npz).")  # fmt: skip
@json_option
def command(
    source: str,
    selection: Selection,
    **options: Any,
) -> None:
    """Write the latents of images: for each layer z, the posterior, the prior and the KL.

    Images are cropped and resized to the model's size, or to --size; with --tile they keep their
    own. Of a model that was trained on measurements they are those of measurements of the images.
    The file has the names of the images too: their paths, or what the data set calls them.
    hvae decode makes images of them again; in Python hvae.Latents.load reads them.
    """
    import dataclasses

    from hvae_core.api import load_runnable
    from hvae_core.evaluation.measured_inputs import inputs_of
    from hvae_core.inference import Latents
    from hvae_core.inference.latent_files import check_latents_output

    output = options["output"]
    check_latents_output(output)
    if options["keep"] is None:
        refuse_given("--statistics", why="--keep is not", hint="Give both.")
    else:
        refuse_given("--tile", "--overlap", why="--keep takes images of the model's size alone")
    statistics = options["statistics"]
    known = None if statistics is None else Latents.load(statistics)
    model = at_size(load_runnable(source), options["size"])
    tile, overlap = options["tile"], options["overlap"]
    whole = tile is not None or overlap is not None
    originals, names = selection.read_named(model, whole)
    given: dict[str, Any] = {
        "condition": conditions_of(model, options["condition"], selection, len(originals)),
        "inputs": inputs_of(model, originals, options["seed"]),
    }
    with progress_bar("encoding", options["as_json"]):
        latents = model.encode(
            originals,
            kept=_kept(model, known, originals, given, options),
            layers=options["layers"],
            seed=options["seed"],
            sample=not options["mean"],
            batch_size=options["batch_size"],
            tile=tile,
            overlap=overlap,
            **given,
        )
    latents = dataclasses.replace(latents, names=names)
    latents.save(output)
    kl = latents.kl_per_layer
    payload = {
        "output": output,
        "images": len(latents),
        "shapes": [list(shape) for shape in latents.shapes if shape],
        "kl_per_layer": None if kl is None else [round(float(k), 4) for k in kl.mean(axis=0)],
    }
    summary = f"{output}: images {len(latents)}, latent layers {len(latents.z)}"
    if latents.kept is not None:
        counts = [int(layer.sum()) for layer in latents.kept]
        payload["kept"] = counts
        summary += f", channels kept {sum(counts)} of {sum(map(len, latents.kept))}"
    emit(payload, options["as_json"], [summary])


def _kept(
    model: Any, known: Latents | None, images: Any, given: dict[str, Any], options: dict[str, Any]
) -> Any:
    """Which channels ``--keep`` keeps; None: all. ``known`` are the latents of ``--statistics``."""
    import dataclasses

    from hvae_core.errors import BadInputError
    from hvae_core.inference.programs import Infer

    if options["keep"] is None:
        return None
    if not model.gives(Infer((), prunes=True)):
        raise BadInputError(
            "An export cannot leave out channels of its latents, as --keep asks for.",
            "Encode with the model that was exported.",
        )
    prunable = model.config.model.prunable_layers
    if known is None:
        size = options["batch_size"]
        known = model.encode(images, seed=options["seed"], batch_size=size, **given)
    elif len(known.z) == len(prunable):  # an older hvae's file, or an export's, does not say it
        known = dataclasses.replace(known, prunable=prunable)
    return known.most_informative(options["keep"])
