"""Which images are held out, decided for each by what it is known by.

Whether an image is held out depends on nothing but itself and the seed, so that images that come or
go move no other from one part to the other. (Positions in a sorted list would: one more file, and
images that were trained on become test images.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from hvae_core.errors import DataError

_RANGE = 2**64


def hold_out(
    keys: Sequence[str], fraction: float, seed: int, purpose: str
) -> tuple[np.ndarray, np.ndarray]:
    """Divide images in two by the hash of their keys.

    Args:
        keys: what each image is known by; those of the same key stay together.
        fraction: probability of being held out, 0 to below 1. Where the hashes hold none out, or
            all, the image nearest to the limit is moved, unless ``fraction`` is 0.
        seed: of the choice.
        purpose: what they are held out for; other purposes are other choices.

    Returns:
        The indices of those that stay and of those held out, each sorted.

    Raises:
        DataError: there are fewer than two different images to divide.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction is {fraction}; expected 0 to below 1")
    every = np.arange(len(keys))
    if not fraction:
        return every, every[:0]
    drawn = np.array([_drawn(key, seed, purpose) for key in keys], np.uint64)
    if len(np.unique(drawn)) < 2:
        raise DataError(
            f"There are {len(set(keys))} different images, too few to hold out any of them as "
            f"{purpose} images.",
            "Use more images, or set train.validation_fraction to 0."
            if purpose == "validation"
            else "Use more images, give test images of their own, or set data.test_fraction to 0.",
        )
    chosen = drawn < np.uint64(fraction * _RANGE)
    if not chosen.any():
        chosen = drawn == drawn.min()
    elif chosen.all():
        chosen = drawn != drawn.max()
    return every[~chosen], every[chosen]


def _drawn(key: str, seed: int, purpose: str) -> int:
    """Uniform in 0 to 2**64 - 1."""
    text = f"{purpose} {seed} {key}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
