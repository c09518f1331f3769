"""The evidence lower bound of given images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hvae_core.inference.engine import (
    DEFAULT_BATCH_SIZE,
    Runnable,
    batch_rows,
    check_images,
    check_noise,
    compiled_function,
    join_batches,
    latent_noise,
)
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


def posterior_pass(model: Runnable, x: Any, noise: list[Any]) -> dict[str, Any]:
    """What the evaluation needs of a pass, in-graph.

    Returns:
        ``log_likelihood`` [B] and ``kl_per_layer`` [B, L] in nats, and ``posterior_means``, a
        list of [B, h, w, c].
    """
    from keras import ops

    out = model.forward(x, noise)
    return {
        "log_likelihood": out.log_likelihood,
        "kl_per_layer": ops.stack([layer.kl for layer in out.layers], axis=-1),
        "posterior_means": [layer.posterior.mean for layer in out.layers],
    }


def elbo(
    model: Runnable,
    x: Any,
    noise: Sequence[Any] | None = None,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Elbo:
    """The evidence lower bound by one draw of the latents.

    Args:
        model: the model.
        x: images uint8 [B, H, W, C].
        noise: standard-normal arrays [B, h, w, c], one for each latent layer, coarsest first. The
            same noise gives the same figures on every backend.
        seed: of the noise where none is given; image ``i`` depends on the seed and ``i`` alone.
        batch_size: images computed at a time; does not change the result.

    Raises:
        BadInputError: the images or the noise do not fit the model.
    """
    images = check_images(model, x)
    given = None if noise is None else check_noise(model, noise, len(images))

    def run(x: Any, noise: list[Any]) -> dict[str, Any]:
        figures = posterior_pass(model, x, noise)
        del figures["posterior_means"]
        return figures

    function = compiled_function(model, "elbo", run)
    parts = []
    for rows, valid in batch_rows(len(images), batch_size):
        normal = latent_noise(model, rows, seed) if given is None else [z[rows] for z in given]
        out = function(images[rows], normal)
        parts.append({name: value[:valid] for name, value in out.items()})
    figures = join_batches(parts)
    log_likelihood, kl_per_layer = figures["log_likelihood"], figures["kl_per_layer"]
    kl = kl_per_layer.sum(axis=-1)
    bound = log_likelihood - kl
    return Elbo(bound, log_likelihood, kl, kl_per_layer, bits_per_dim(bound, model.image_shape))
