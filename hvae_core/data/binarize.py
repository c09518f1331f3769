"""From grey values to binary images, for Bernoulli likelihoods (values 0 and 255)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hvae_core.interfaces import ImageSource, Shape3

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


class BinarizedOnce:
    """Images binarized as they are read, each always in the same way.

    Args:
        source: grey values.
        kind: as `binarize_once` takes it.
        seed: of the static draw, of which every image has its own.
    """

    def __init__(self, source: ImageSource, kind: Binarization, seed: int) -> None:
        self.source, self.kind, self.seed = source, kind, seed
        self.shape: Shape3 = source.shape

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """The images at ``indices``: uint8 [len(indices), H, W, C]."""
        images = self.source.batch(indices)
        if self.kind != "static":
            return binarize_once(images, self.kind, self.seed)
        for row, index in enumerate(indices):
            images[row] = draw(images[row], np.random.default_rng((self.seed, int(index))))
        return images
