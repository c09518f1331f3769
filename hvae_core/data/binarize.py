"""From grey values to binary images, for Bernoulli likelihoods (values 0 and 255)."""

from __future__ import annotations

from typing import Literal

import numpy as np

Binarization = Literal["dynamic", "static", "threshold", "none"]

BINARIZATION_HELP = (
    "dynamic: each pixel is drawn anew with probability value / 255 every time it is seen; "
    "static: drawn once, with a fixed seed; threshold: 1 from 128 on; none: grey values"
)


def draw(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bernoulli draws with probability ``images / 255``: uint8 of the same shape, 0 or 255."""
    # rng.integers gives 0 to 254, so 0 is never set and 255 always.
    return np.where(rng.integers(0, 255, images.shape, dtype=np.uint8) < images, 255, 0).astype(
        np.uint8
    )


def binarize_once(images: np.ndarray, kind: Binarization, seed: int) -> np.ndarray:
    """Binarize at loading time, where ``kind`` is done then: uint8 of the same shape.

    Args:
        images: grey values.
        kind: ``"dynamic"`` and ``"none"`` leave the images as they are.
        seed: of the static draw.
    """
    if kind == "static":
        return draw(images, np.random.default_rng(seed))
    if kind == "threshold":
        return np.where(images >= 128, 255, 0).astype(np.uint8)
    return images
