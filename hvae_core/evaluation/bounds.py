"""Bounds on the log-likelihood of given images: the evidence lower bound, and tighter ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hvae_core.inference.arguments import check_batch, check_count, check_noise
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import (
    DEFAULT_BATCH_SIZE,
    DRAW_STRIDE,
    batch_rows,
    given_or_drawn,
    join_batches,
    latent_noise,
)
from hvae_core.inference.watching import counting
from hvae_core.prob.elbo import bits_per_dim


class Elbo(NamedTuple):
    """Figures of B images under a model of L latent layers, in NumPy.

    ``elbo``, ``log_likelihood`` and ``kl`` are [B] in nats, ``kl_per_layer`` [B, L] in nats,
    coarsest first, ``bits_per_dim`` [B]; ``elbo = log_likelihood - kl``. Continuous images have a
    density and no bits: their log-likelihoods are per native unit, their ``bits_per_dim`` is None.
    """

    elbo: np.ndarray
    log_likelihood: np.ndarray
    kl: np.ndarray
    kl_per_layer: np.ndarray
    bits_per_dim: np.ndarray | None


def elbo(
    engine: Engine,
    x: Any,
    noise: Sequence[Any] | None = None,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    condition: Any = None,
    inputs: Any = None,
) -> Elbo:
    """The evidence lower bound by one draw of the latents.

    That of a conditional model is a bound on log p(x | condition).

    Args:
        engine: runs the model.
        x: images [B, H, W, C] in native values.
        noise: standard-normal arrays [B, h, w, c], one for each latent layer, coarsest first. The
            same noise gives the same figures on every backend.
        seed: of the noise where none is given; image ``i`` depends on the seed and ``i`` alone.
        batch_size: images computed at a time; does not change the result.
        condition: of a conditional model, see `ConditionValues.encode`.
        inputs: [B, H, W, C'], what the encoder sees in place of the images.

    Raises:
        BadInputError: the images or the noise do not fit the model.
    """
    images = check_batch(engine, x, condition, inputs)
    given = check_noise(engine, noise, len(images))

    program = Infer(("log_likelihood", "kl_per_layer"))
    parts = []
    for rows, valid in batch_rows(len(images), batch_size):
        normal = given_or_drawn(engine, given, rows, seed)
        out = engine.run(program, {**images[rows].named(), "noise": normal})
        parts.append({name: value[:valid] for name, value in out.items()})
    figures = join_batches(parts)
    log_likelihood, kl_per_layer = figures["log_likelihood"], figures["kl_per_layer"]
    kl = kl_per_layer.sum(axis=-1)
    bound = log_likelihood - kl
    is_discrete = engine.image_values.is_discrete
    bits = bits_per_dim(bound, engine.image_shape) if is_discrete else None
    return Elbo(bound, log_likelihood, kl, kl_per_layer, bits)


def log_likelihood(
    engine: Engine,
    x: Any,
    importance_samples: int = 100,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    first: int = 0,
    condition: Any = None,
    inputs: Any = None,
) -> np.ndarray:
    """``log 1/K sum_k w_k`` [B] in nats: a lower bound that tightens with K.

    Args:
        engine: runs the model.
        x: images [B, H, W, C] in native values.
        importance_samples: K, the draws for each image.
        seed: draw ``k`` of image ``i`` depends on the seed, ``k`` and ``i`` alone.
        batch_size: images computed at a time; does not change the result.
        first: number of the first image, where these are part of a longer sequence.
        condition: of a conditional model, see `ConditionValues.encode`.
        inputs: [B, H, W, C'], what the encoder sees in place of the images.

    Raises:
        BadInputError: the images do not fit the model, or K is below 1.
    """
    images = check_batch(engine, x, condition, inputs)
    draws = check_count(importance_samples, "importance_samples")
    program = Infer(("log_weight",), from_features=True)
    if not engine.gives(program):
        program = Infer(("log_weight",))
    # A running log-sum-exp in float64: memory does not grow with K.
    total = np.full(len(images), -math.inf)
    with counting(draws * len(images)) as advance:
        for rows, valid in batch_rows(len(images), batch_size):
            # Fewer images than a batch takes: the rest of it are further draws.
            together = min(max(1, batch_size // len(rows)), draws)
            places = np.tile(np.arange(len(rows)), together)
            given = images[rows[places]].named()
            if program.from_features:
                seen = {**images[rows].named(), "noise": []}
                features = engine.run(Infer(("features",)), seen)["features"]
                given["features"] = [scale[places] for scale in features]
            for start in range(0, draws, together):
                numbers = np.minimum(np.arange(start, start + together), draws - 1)
                # Each draw has image indices of its own, so that no two share their noise.
                indices = first + rows + numbers[:, None] * DRAW_STRIDE
                normal = latent_noise(engine, indices.ravel(), seed)
                out = engine.run(program, {**given, "noise": normal})
                weights = out["log_weight"].reshape(together, len(rows))[: draws - start, :valid]
                kept = rows[:valid]
                for weight in weights.astype(np.float64):
                    total[kept] = np.logaddexp(total[kept], weight)
                advance(len(weights) * valid)
    return (total - math.log(draws)).astype(np.float32)
