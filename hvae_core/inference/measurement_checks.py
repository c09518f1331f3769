"""What was measured of images, and where: checked before anything is drawn from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import check_images
from hvae_core.inference.engine import Engine


def check_measured(
    engine: Engine, y: Any, mask: Any, fill: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A measurement as the encoder is given it: native [B, H, W, C] and bool [B, H, W].

    Args:
        engine: whose images they are.
        y: see `hvae_core.inference.completion.posterior_sample`.
        mask: the same.
        fill: what the unknown pixels of ``y`` become; None: they are left.

    Raises:
        BadInputError: a shape or a value does not fit, or nothing is measured of an image.
    """
    measured, known = np.asarray(y), np.asarray(mask)
    count, (height, width, _) = len(measured) if measured.ndim else 0, engine.image_shape
    if known.ndim and known.shape[-1] == 1 and known.shape[-3:-1] == (height, width):
        known = known[..., 0]
    if known.shape == (height, width):
        known = np.broadcast_to(known, (count, height, width))
    if measured.ndim == 4 and known.shape != (count, height, width):
        raise BadInputError(
            f"mask has shape {list(np.shape(mask))}; expected {[count, height, width]}, or "
            f"{[height, width]} for all images.",
            "A mask has one value a pixel: true where it was measured.",
        )
    known = check_boolean(known, "mask")
    if measured.ndim == 4:
        nothing = np.flatnonzero(~known.any(axis=(1, 2)))
        if nothing.size:
            raise BadInputError(
                f"mask leaves nothing of image {nothing[0]}: no pixel was measured.",
                "Measure a pixel at least, or draw from the prior with model.sample.",
            )
        if fill is not None and measured.dtype.kind in "iuf":
            measured = np.where(known[..., None], measured, _exact_fill(engine, fill))
    return check_images(engine, measured, "y"), known


def _exact_fill(engine: Engine, fill: Any) -> np.ndarray:
    values = engine.image_values
    exact = values.exact(np.asarray(fill))
    if exact is None or exact.ndim:
        wanted = "a finite number"
        if values.is_discrete:
            wanted = f"a whole number from 0 to {values.high:.0f}, as the images' values are"
        raise BadInputError(f"fill is {fill!r}; it must be {wanted}.")
    return exact


def check_boolean(array: np.ndarray, name: str) -> np.ndarray:
    """An array of truth values as booleans, else `BadInputError`."""
    if array.dtype == bool:
        return array
    if array.dtype.kind not in "iuf" or not np.isin(array, (0, 1)).all():
        raise BadInputError(f"{name} holds values that are neither true nor false, 1 nor 0.")
    return array.astype(bool)
