"""The rows of a batch: one compiled size for any number of images, and the noise each image owns.

Every image has its own stream of random numbers, keyed by the seed and the image's index, so that
no result depends on how the images are divided into batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hvae_core.inference.arguments import check_count, check_seed
from hvae_core.inference.engine import Engine
from hvae_core.inference.watching import counting
from hvae_core.interfaces import Tensor
from hvae_core.prob.noise import NORMAL, UNIFORM

DEFAULT_BATCH_SIZE = 32
#: more images than any sequence has: where the numbers of the next draw's noise begin
DRAW_STRIDE = 2**32


def batch_rows(count: int, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Divide ``count`` rows into batches of one size, and tell how many are done.

    Yields:
        The row numbers of a batch, the last batch filled up with its last row, and how many of
        them are real.
    """
    size = min(check_count(batch_size, "batch_size"), count)
    with counting(count) as advance:
        for start in range(0, count, size):
            rows = np.arange(start, start + size)
            valid = min(size, count - start)
            yield np.minimum(rows, count - 1), valid
            advance(valid)


def pad_rows(array: np.ndarray, size: int) -> np.ndarray:
    """``array`` [b, ...] with its last row repeated until there are ``size`` rows."""
    missing = size - len(array)
    return array if missing <= 0 else np.concatenate([array, array[-1:].repeat(missing, axis=0)])


def latent_noise(
    engine: Engine, indices: Sequence[int] | np.ndarray, seed: int, layers: int | None = None
) -> list[Tensor]:
    """Standard-normal noise of the images at ``indices``: [B, h, w, c] each, coarsest first.

    They are for a program of the engine: arrays, or tensors of its device.

    Args:
        engine: tells the shapes.
        indices: the images'.
        seed: of the numbers.
        layers: of the first so many layers, the same numbers as with all of them.
    """
    check_seed(seed)
    return engine.draw(NORMAL, engine.latent_shapes[:layers], indices, seed)


def given_or_drawn(
    engine: Engine,
    given: Sequence[np.ndarray] | None,
    rows: np.ndarray,
    seed: int,
    layers: int | None = None,
) -> list[Tensor]:
    """The latents' noise of ``rows``: of ``given`` (see `check_noise`), or `latent_noise`."""
    if given is None:
        return latent_noise(engine, rows, seed, layers)
    return [z[rows] for z in given[:layers]]


def pixel_noise(engine: Engine, indices: Sequence[int] | np.ndarray, seed: int) -> Tensor:
    """Uniform(0, 1) noise float32 [B, H, W, n] with which the likelihood draws its pixels.

    It is for a program of the engine, as `latent_noise` is.
    """
    height, width, _ = engine.image_shape
    check_seed(seed)
    shape = (height, width, engine.likelihood.noise_channels())
    (drawn,) = engine.draw(UNIFORM, [shape], indices, seed)
    return drawn


def join_batches(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The batches' arrays one after the other, by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
