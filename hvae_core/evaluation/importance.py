"""The importance-weighted bound on the log likelihood (Burda et al. 2016, arXiv 1509.00519)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hvae_core.inference.arguments import check_count, check_images
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, latent_noise

#: more images than any sequence has: where the numbers of the next draw's noise begin
_DRAW_STRIDE = 2**32


def log_likelihood(
    engine: Engine,
    x: Any,
    importance_samples: int = 100,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    first: int = 0,
) -> np.ndarray:
    """``log 1/K sum_k w_k`` [B] in nats: a lower bound that tightens with K.

    Args:
        engine: runs the model.
        x: images uint8 [B, H, W, C].
        importance_samples: K, the draws for each image.
        seed: draw ``k`` of image ``i`` depends on the seed, ``k`` and ``i`` alone.
        batch_size: images computed at a time; does not change the result.
        first: number of the first image, where these are part of a longer sequence.

    Raises:
        BadInputError: the images do not fit the model, or K is below 1.
    """
    images = check_images(engine, x)
    draws = check_count(importance_samples, "importance_samples")
    program = Infer(("log_weight",))
    # A running log-sum-exp in float64: memory does not grow with K.
    total = np.full(len(images), -math.inf)
    for rows, valid in batch_rows(len(images), batch_size):
        kept = rows[:valid]
        for draw in range(draws):
            # Each draw has image indices of its own, so that no two share their noise.
            normal = latent_noise(engine, first + rows + draw * _DRAW_STRIDE, seed)
            out = engine.run(program, {"images": images[rows], "noise": normal})
            weights = out["log_weight"][:valid]
            total[kept] = np.logaddexp(total[kept], weights.astype(np.float64))
    return (total - math.log(draws)).astype(np.float32)
