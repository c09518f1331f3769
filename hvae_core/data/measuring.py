"""Measuring a batch of images, each with random numbers of its own."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hvae_core.errors import DataError
from hvae_core.interfaces import Measured, Measurement

#: the stream of random numbers of images that are measured outside training, from which recorded
#: figures follow; training has streams of its own, see `hvae_core.data.batches`
_STREAM = 4


def measure(measurement: Measurement, image: np.ndarray, rng: np.random.Generator) -> Measured:
    """Measure an image [H, W, C], and hold the measurement to its contract.

    Raises:
        DataError: what it gives is no image of this type and shape, or no mask of it.
    """
    y, mask = measurement.measure(image, rng)
    fits = (y.dtype, y.shape, mask.dtype, mask.shape)
    if fits == (image.dtype, image.shape, bool, image.shape[:2]):
        return Measured(y, mask)
    wanted = f"{image.dtype} {list(image.shape)} and bool {list(image.shape[:2])}"
    found = f"{y.dtype} {list(y.shape)} and {mask.dtype} {list(mask.shape)}"
    raise DataError(
        f"The measurement {type(measurement).__name__} gives {found} of an image; expected "
        f"{wanted}, y in the image's native values and the mask.",
        "`hvae plugins check` tries its contract.",
    )


def measured(
    measurement: Measurement,
    images: np.ndarray,
    indices: Iterable[int],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The measurements of a batch.

    Args:
        measurement: what is kept of an image.
        images: native values [B, H, W, C].
        indices: of the images in their split. With the seed they decide the measurement, so that
            it depends on no batch.
        seed: of the random numbers.

    Returns:
        y [B, H, W, C] in the images' type, and the mask, bool [B, H, W].

    Raises:
        DataError: see `measure`.
    """
    parts = [
        measure(measurement, image, np.random.default_rng((seed, _STREAM, int(index))))
        for image, index in zip(images, indices, strict=True)
    ]
    return np.stack([part.y for part in parts]), np.stack([part.mask for part in parts])
