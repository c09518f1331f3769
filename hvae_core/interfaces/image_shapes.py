"""Whether images have the shape that a model needs."""

from __future__ import annotations

from collections.abc import Sequence

from hvae_core.errors import ConfigError, HvaeError


def check_image_shape(
    shape: Sequence[int],
    expected: Sequence[int],
    subject: str = "The images have",
    *,
    batch: bool = False,
    kind: type[HvaeError] = ConfigError,
) -> None:
    """Refuse images of another shape than the model's: the one place where they are compared.

    Args:
        shape: of the images, [..., H, W, C].
        expected: the model's [H, W, C].
        subject: what has this shape, for the message, with its verb.
        batch: whether it must be a batch [B, H, W, C] of at least one image.
        kind: of the error.

    Raises:
        HvaeError: of this kind.
    """
    is_batch = len(shape) == len(expected) + 1 and shape[0] > 0
    if tuple(shape[-len(expected) :]) == tuple(expected) and (is_batch or not batch):
        return
    wanted = ", ".join(["B"] * batch + [str(size) for size in expected])
    message = f"{subject} shape {list(shape)}; the model needs images [{wanted}]."
    if batch:
        raise kind(message, _of_an_array(tuple(shape), tuple(expected)))
    raise kind(
        message,
        "model.resolutions[0] times model.patch_size must be the size and model.image_channels "
        "the channels; or set the data set's size options.",
    )


def _of_an_array(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """How an array becomes a batch of images."""
    if shape == expected:
        return "Of one image make a batch, x[None]."
    if expected[-1] == 1 and shape[-2:] == expected[:-1]:
        return "Add the axis of the channels, x[..., None]."
    if shape[-3:] == (expected[-1], *expected[:-1]):
        return "Move the channels to the end, numpy.moveaxis(x, -3, -1)."
    return "Crop or resize the images, or take a model of their size (model.at_size)."
