"""What a visitor of the page may upload, and how it becomes an image for the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hvae_core.data.binarize import Binarization, binarize_once, draw
from hvae_core.data.user_images import FittedImage, read_user_image
from hvae_core.errors import DataError

if TYPE_CHECKING:
    from hvae_core.config import Config

MAX_BYTES = 10 << 20
MAX_PIXELS = 40_000_000


def read_upload(path: str | None, shape: tuple[int, int, int], which: str) -> FittedImage:
    """The uploaded file as an image of the model's shape.

    Args:
        path: the file, or None where nothing was uploaded.
        shape: [H, W, C].
        which: what the message calls it, such as "the first image".

    Raises:
        DataError: nothing was uploaded, it is too large, or it is no image.
    """
    if path is None:
        raise DataError(f"Upload {which} first.", "Or let the model draw one.")
    name = which[:1].upper() + which[1:]
    size = Path(path).stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{name} has {size / 2**20:.1f} MB; at most {MAX_BYTES >> 20} MB are accepted."
        )
    return read_user_image(path, shape, max_pixels=MAX_PIXELS, name=name)


def as_trained_on(fitted: FittedImage, config: Config, seed: int = 0) -> FittedImage:
    """The image binarized, where the model was trained on binarized images.

    Args:
        fitted: the image.
        config: the model's configuration.
        seed: of the draw, where pixels are drawn.
    """
    kind: Binarization = getattr(config.data.options, "binarization", "none")
    if kind == "none" or np.isin(fitted.pixels, (0, 255)).all():
        return fitted
    if kind == "dynamic":
        pixels = draw(fitted.pixels, np.random.default_rng(seed))
    else:
        pixels = binarize_once(fitted.pixels, kind, seed)
    return FittedImage(pixels, f"{fitted.note} Binarized.".strip())
