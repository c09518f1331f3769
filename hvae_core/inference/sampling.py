"""Drawing images from the prior."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hvae_core.files.threads import prefetch
from hvae_core.inference.arguments import (
    check_condition,
    check_count,
    check_guidance,
    check_noise,
    check_seed,
    check_temperature,
)
from hvae_core.inference.decoding import conditioned
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Generate
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, given_or_drawn, pixel_noise
from hvae_core.inference.watching import counting


def sample_batches(
    engine: Engine,
    n: int,
    temperature: float | Sequence[float] | None = 1.0,
    seed: int = 0,
    noise: Sequence[Any] | None = None,
    batch_size: int | None = None,
    condition: Any = None,
    guidance: float | None = None,
) -> Iterator[np.ndarray]:
    """Draw images batch by batch, so that any number fits into memory.

    Arguments and errors as in `sample`; they are checked at the call, not at the first batch.

    Returns:
        An iterator over arrays [b, H, W, C] in native values; the last may be shorter.
    """
    n = check_count(n, "n")
    check_seed(seed)
    scale = check_temperature(temperature, len(engine.latent_shapes))
    given = check_noise(engine, noise, n)
    encoded = check_condition(engine, condition, n)
    strength = check_guidance(engine, guidance, condition)
    size = check_count(DEFAULT_BATCH_SIZE if batch_size is None else batch_size, "batch_size")

    program = Generate(("images",))

    def batches() -> Iterator[np.ndarray]:
        # The next batch's noise is drawn while this one is computed.
        with counting(n) as advance, contextlib.closing(prefetch(noises(), depth=1)) as ready:
            for valid, inputs in ready:
                images = engine.run(program, inputs)["images"][:valid]
                yield images.astype(engine.image_values.dtype)
                advance(valid)

    def noises() -> Iterator[tuple[int, dict[str, Any]]]:
        for rows, valid in batch_rows(n, size):
            own = None if encoded is None else encoded[rows]
            yield (
                valid,
                {
                    "noise": given_or_drawn(engine, given, rows, seed),
                    "pixels": pixel_noise(engine, rows, seed),
                    "temperature": scale,
                    **conditioned(own, strength),
                },
            )

    return batches()


def sample(
    engine: Engine,
    n: int,
    temperature: float | Sequence[float] | None = 1.0,
    seed: int = 0,
    noise: Sequence[Any] | None = None,
    batch_size: int | None = None,
    condition: Any = None,
    guidance: float | None = None,
) -> np.ndarray:
    """Draw images.

    Image ``i`` depends on ``seed`` and ``i`` alone: neither on ``n`` nor on ``batch_size``.

    Args:
        engine: runs the model.
        n: number of images.
        temperature: factor of the standard deviation of every layer's prior (Child 2020), or one
            for each layer, coarsest first; None is 1. The pixels are drawn from the likelihood as
            it is.
        seed: of the latents and the pixels.
        noise: standard-normal arrays [n, h, w, c], one for each latent layer, coarsest first, in
            place of the seeded ones. The pixels still follow ``seed``.
        batch_size: images computed at a time (default 32).
        condition: of a conditional model, for all images or one for each, see
            `ConditionValues.encode`.
        guidance: how far each layer's prior is moved from that of the null condition (0) to that
            of the condition (1) and beyond, where the model was trained with ``dropout``; twice
            the cost. See `HierarchicalNetwork.generate`.

    Returns:
        [n, H, W, C] in native values.

    Raises:
        BadInputError: ``n``, ``temperature``, ``seed``, ``noise`` or ``batch_size`` is impossible.
    """
    batches = sample_batches(engine, n, temperature, seed, noise, batch_size, condition, guidance)
    return np.concatenate(list(batches))
