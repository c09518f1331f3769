"""Measuring a batch of images, each with random numbers of its own."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hvae_core.interfaces import Measurement

#: the stream of random numbers, beside those of order and augmentation
_STREAM = 4


def measured(
    measurement: Measurement,
    images: np.ndarray,
    indices: Iterable[int],
    seed: int,
    epoch: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The measurements of a batch.

    Args:
        measurement: what is kept of an image.
        images: native values [B, H, W, C].
        indices: of the images in their split. With the seed and the epoch they decide the
            measurement, so that it depends on no batch and a resumed run draws the same.
        seed: of the random numbers.
        epoch: of a training; None: an evaluation, in which each image is measured in one way.

    Returns:
        y [B, H, W, C] in the images' type, and the mask, bool [B, H, W].
    """
    key = (seed, _STREAM) if epoch is None else (seed, _STREAM, 1 + epoch)
    parts = [
        measurement.measure(image, np.random.default_rng((*key, int(index))))
        for image, index in zip(images, indices, strict=True)
    ]
    y = np.stack([part.y for part in parts]).astype(images.dtype, copy=False)
    return y, np.stack([part.mask for part in parts])
