"""Drawing images from the prior."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hvae_core.files.threads import ahead
from hvae_core.inference.engine import (
    DEFAULT_BATCH_SIZE,
    Runnable,
    batch_rows,
    check_count,
    check_noise,
    check_seed,
    check_temperature,
    compiled_function,
    latent_noise,
    pixel_noise,
)


def sample_batches(
    model: Runnable,
    n: int,
    temperature: float | Sequence[float] | None = 1.0,
    seed: int = 0,
    noise: Sequence[Any] | None = None,
    batch_size: int | None = None,
) -> Iterator[np.ndarray]:
    """Draw images batch by batch, so that any number fits into memory.

    Arguments and errors as in `sample`; they are checked at the call, not at the first batch.

    Returns:
        An iterator over uint8 arrays [b, H, W, C]; the last may be shorter.
    """
    n = check_count(n, "n")
    check_seed(seed)
    scale = check_temperature(temperature, len(model.latent_shapes))
    given = None if noise is None else check_noise(model, noise, n)
    size = check_count(DEFAULT_BATCH_SIZE if batch_size is None else batch_size, "batch_size")

    def draw(latents: list[Any], pixels: Any, temperature: Any) -> dict[str, Any]:
        parameters = model.generate(latents, temperature)
        return {"images": model.likelihood.sample(parameters, pixels)}

    def batches() -> Iterator[np.ndarray]:
        run = compiled_function(model, "sample", draw)
        # The next batch's noise is drawn while this one is computed.
        with contextlib.closing(ahead(noises(), depth=1)) as ready:
            for valid, latents, pixels in ready:
                yield run(latents, pixels, scale)["images"][:valid].astype(np.uint8)

    def noises() -> Iterator[tuple[int, list[np.ndarray], np.ndarray]]:
        for rows, valid in batch_rows(n, size):
            latents = latent_noise(model, rows, seed) if given is None else [z[rows] for z in given]
            yield valid, latents, pixel_noise(model, rows, seed)

    return batches()


def sample(
    model: Runnable,
    n: int,
    temperature: float | Sequence[float] | None = 1.0,
    seed: int = 0,
    noise: Sequence[Any] | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Draw images.

    Image ``i`` depends on ``seed`` and ``i`` alone: neither on ``n`` nor on ``batch_size``.

    Args:
        model: the model.
        n: number of images.
        temperature: factor of the standard deviation of every layer's prior (Child 2020), or one
            for each layer, coarsest first; None is 1. The pixels are drawn from the likelihood as
            it is.
        seed: of the latents and the pixels.
        noise: standard-normal arrays [n, h, w, c], one for each latent layer, coarsest first, in
            place of the seeded ones. The pixels still follow ``seed``.
        batch_size: images computed at a time (default 32).

    Returns:
        uint8 [n, H, W, C].

    Raises:
        BadInputError: ``n``, ``temperature``, ``seed``, ``noise`` or ``batch_size`` is impossible.
    """
    return np.concatenate(list(sample_batches(model, n, temperature, seed, noise, batch_size)))
