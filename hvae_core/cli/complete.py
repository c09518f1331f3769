"""``hvae complete``: whole images from measurements of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hvae_core.cli.common import (
    WholeNumber,
    batch_size_option,
    emit,
    json_option,
    progress_bar,
    refuse_temperature,
    seed_option,
    temperature_option,
)
from hvae_core.cli.conditions import condition_option, conditions_of
from hvae_core.cli.images import Selection, image_options
from hvae_core.cli.measured import chosen_measurement, read_measured

if TYPE_CHECKING:
    import numpy as np

    from hvae_core.inference import PosteriorDraws


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN|EXPORT")
@image_options
@click.option(
    "--measurement", metavar="NAME[:VALUE][,OPTION=VALUE]",
    help="What is known of an image, such as columns:0.25, or columns:0.25+noise:0.1 (else what "
    "the model was trained on).",
)  # fmt: skip
@click.option(
    "--measured",
    metavar="NPZ",
    help="Measurements of yours in place of images: an archive with the arrays measured "
    "[B, H, W, C] and mask [B, H, W] or [H, W], which is true where a pixel is known.",
)
@click.option("-n", "draws", type=WholeNumber(1), default=8, show_default=True,
              help="Draws of each image.")  # fmt: skip
@click.option(
    "--layers", metavar="K|FRACTION",
    help="Only the first, coarsest latents from the posterior: a number of them, or a fraction "
    "such as 0.5 (else all); from there the draws branch.",
)  # fmt: skip
@condition_option
@click.option("--keep-known", is_flag=True, help="Put the measured pixels back into the draws.")
@temperature_option
@seed_option
@batch_size_option
@click.option("-o", "--output", default="completed.png", show_default=True,
              help="A grid (.png), or arrays (.npz).")  # fmt: skip
@json_option
def command(
    source: str,
    selection: Selection,
    **options: Any,
) -> None:
    """Draw whole images from what was measured of them.

    Images are measured first, or --measured has the measurements. A row of the grid is an image:
    measured, the draws, their mean, their standard deviation (white is the largest of the image),
    and the truth where it is known. An archive has the arrays measured, mask, draws, mean, std and
    images.
    """
    import numpy as np

    from hvae_core.api import load_runnable
    from hvae_core.evaluation.image_metrics import psnr
    from hvae_core.images.grids import check_grid
    from hvae_core.images.saving import check_output, save_arrays, save_images
    from hvae_core.inference.arguments import check_temperature
    from hvae_core.inference.measurement_checks import check_measured

    output = options["output"]
    kind = check_output(output, folder=False)
    temperature = float(check_temperature(options["temperature"]))
    layers = _layers(options["layers"])
    if layers is None:
        refuse_temperature("--layers")
    given = None if options["measured"] is None else read_measured(options["measured"])
    model = load_runnable(source)
    truth: np.ndarray | None = None
    if given is not None:
        y, mask = given
        if y.dtype.kind == "f" and np.isnan(y).any():  # what was not measured may be no number
            y = np.where(np.isnan(y), check_measured(model, y, mask, model.fill)[0], y)
        selection = Selection([options["measured"]], None, "", (), None)  # says no condition
    else:
        y, mask, truth = _measure(model, selection, options)
    y, mask = check_measured(model, y, mask)  # native values from here on, as in the grid
    if kind == "png":
        columns = options["draws"] + (3 if truth is None else 4)
        check_grid(len(y) * columns, model.image_shape, columns)
    condition = conditions_of(model, options["condition"], selection, len(y))
    with progress_bar("completing", options["as_json"]):
        drawn = model.posterior_sample(
            y, mask, options["draws"], layers, temperature, options["seed"],
            keep_known=options["keep_known"], batch_size=options["batch_size"], condition=condition,
        )  # fmt: skip
    if kind == "png":
        rows = np.concatenate(pictures(y, drawn, truth, model.image_values), axis=1)
        grid = rows.reshape(-1, *y.shape[1:])
        save_images([grid], output, columns=rows.shape[1], values=model.image_values)
    else:
        known = {} if truth is None else {"images": truth}
        save_arrays(output, measured=y, mask=mask, draws=drawn.images, mean=drawn.mean,
                    std=drawn.std, **known)  # fmt: skip
    payload = {
        "output": output,
        "images": len(y),
        "draws": len(drawn),
        "known": float(mask.mean()),
    }
    summary = f"{output}: images {len(y)}, draws of each {len(drawn)}, known {mask.mean():.1%}"
    if truth is not None:
        of_mean = psnr(drawn.mean, truth, model.image_values)
        payload["psnr_of_mean"] = [round(float(value), 4) for value in of_mean]
        summary += f", PSNR of their mean {of_mean.mean():.2f} dB"
    if model.measurement is None:
        click.echo(
            "Warning: the model's encoder was trained on whole images. It takes what stands in "
            "unknown pixels for a part of the image; train it on measurements, see the page on "
            "completion.",
            err=True,
        )
    emit(payload, options["as_json"], [summary])


def _measure(
    model: Any, selection: Selection, options: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measurements [B, H, W, C] and masks [B, H, W] of images, and the images."""
    from hvae_core.data.measuring import measured
    from hvae_core.errors import BadInputError

    measurement = chosen_measurement(model, options["measurement"])
    if options["keep_known"] and not measurement.exact:
        raise BadInputError(
            "--keep-known would put measured pixels back that are not the image's own: the "
            "measurement changes them.",
            "Leave out --keep-known.",
        )
    truth = selection.read(model)
    return *measured(measurement, truth, range(len(truth)), options["seed"]), truth


def pictures(y: Any, drawn: PosteriorDraws, truth: Any, values: Any) -> list[Any]:
    """The pictures of a row, each [B, k, H, W, C] in native values.

    That is: measured, draws, mean, standard deviation (white is the image's largest), and the truth
    unless it is None.
    """
    import numpy as np

    largest = drawn.std.max(axis=(1, 2, 3), keepdims=True)
    share = drawn.std / np.where(largest > 0, largest, 1)
    std = values.rounded(values.low + share * (values.high - values.low))
    return [
        y[:, None],
        np.moveaxis(drawn.images, 0, 1),
        values.rounded(drawn.mean)[:, None],
        std[:, None],
        *([] if truth is None else [truth[:, None]]),
    ]


def _layers(text: str | None) -> int | float | None:
    """A number of layers, or with a decimal point a fraction of them."""
    if text is None:
        return None
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        from hvae_core.errors import BadInputError

        raise BadInputError(
            f"--layers is {text!r}; expected a number of latent layers, or a fraction such as 0.5."
        ) from None
