"""The evidence lower bound of given images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hvae_core.inference.arguments import check_images, check_noise
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, join_batches, latent_noise
from hvae_core.prob.elbo import bits_per_dim


class Elbo(NamedTuple):
    """Figures of B images under a model of L latent layers, in NumPy.

    ``elbo``, ``log_likelihood`` and ``kl`` are [B] in nats, ``kl_per_layer`` [B, L] in nats,
    coarsest first, ``bits_per_dim`` [B]; ``elbo = log_likelihood - kl``.
    """

    elbo: np.ndarray
    log_likelihood: np.ndarray
    kl: np.ndarray
    kl_per_layer: np.ndarray
    bits_per_dim: np.ndarray


def elbo(
    engine: Engine,
    x: Any,
    noise: Sequence[Any] | None = None,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Elbo:
    """The evidence lower bound by one draw of the latents.

    Args:
        engine: runs the model.
        x: images uint8 [B, H, W, C].
        noise: standard-normal arrays [B, h, w, c], one for each latent layer, coarsest first. The
            same noise gives the same figures on every backend.
        seed: of the noise where none is given; image ``i`` depends on the seed and ``i`` alone.
        batch_size: images computed at a time; does not change the result.

    Raises:
        BadInputError: the images or the noise do not fit the model.
    """
    images = check_images(engine, x)
    given = None if noise is None else check_noise(engine, noise, len(images))

    program = Infer(("log_likelihood", "kl_per_layer"))
    parts = []
    for rows, valid in batch_rows(len(images), batch_size):
        normal = latent_noise(engine, rows, seed) if given is None else [z[rows] for z in given]
        out = engine.run(program, {"images": images[rows], "noise": normal})
        parts.append({name: value[:valid] for name, value in out.items()})
    figures = join_batches(parts)
    log_likelihood, kl_per_layer = figures["log_likelihood"], figures["kl_per_layer"]
    kl = kl_per_layer.sum(axis=-1)
    bound = log_likelihood - kl
    return Elbo(bound, log_likelihood, kl, kl_per_layer, bits_per_dim(bound, engine.image_shape))
