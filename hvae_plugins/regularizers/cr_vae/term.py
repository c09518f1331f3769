"""The term of consistency regularization (Sinha & Dieng 2021)."""

from __future__ import annotations

import numpy as np
from keras import ops

from hvae_core.interfaces import (
    Dataset,
    Flow,
    GaussianParameters,
    Hierarchy,
    LatentOutput,
    LayerPosterior,
    PassOutput,
    Regularizer,
    Tensor,
)
from hvae_core.prob import gaussian
from hvae_plugins.regularizers.cr_vae import CrVaeConfig
from hvae_plugins.regularizers.cr_vae.augmentation import Augmentation, quantised


class CrVae(Regularizer):
    """``weight KL(q(z | x~) || q(z | x))`` for an image x and its augmented copy x~.

    The KL of a hierarchy is ``E_{z~ ~ q(.|x~)} sum_l KL(q_l(.|z~_<l, x~) || q_l(.|z~_<l, x))``:
    x's posteriors along x~'s latents, by a further pass (mode ``exact``, one draw of z~). Mode
    ``paths`` takes x's posteriors along its own latents instead, which costs nothing more and is
    the same for one layer.

    Args:
        config: the options.
        dataset: says how its images may be changed, where the options do not.
        levels: values a pixel can have; the copies' pixels are rounded to them.
    """

    copies = 2

    def __init__(self, config: CrVaeConfig, dataset: Dataset, levels: int) -> None:
        self.config = config
        self.shares_noise = config.shared_noise
        self.augmentation = Augmentation.chosen(config, dataset.invariance)
        self.levels = levels

    def views(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See `Regularizer.views`: [x; x~]."""
        return np.concatenate([x, quantised(self.augmentation(x, rng), self.levels)])

    def penalty(self, out: PassOutput, model: Hierarchy) -> Tensor:
        """See `Regularizer.penalty`."""
        rows = ops.shape(out.kl)[0] // 2
        if self.config.mode == "exact":
            features = [feature[:rows] for feature in out.features]
            latents = [layer.z[rows:] for layer in out.layers]
            # Without a condition, models of before there were any are asked as they were.
            condition = () if out.embedding is None else (out.embedding[:rows],)
            posteriors = model.posteriors_along(features, latents, *condition)
        else:
            posteriors = [first(layer, rows) for layer in out.layers]
        total = ops.zeros_like(out.kl[:rows])
        for layer, posterior, flow in zip(out.layers, posteriors, model.flows, strict=True):
            total = total + divergence(layer, posterior, flow, rows)
        return self.config.weight * total


def first(layer: LatentOutput, rows: int) -> LayerPosterior:
    """The posterior of the first ``rows``."""
    context = None if layer.context is None else layer.context[:rows]
    return LayerPosterior(GaussianParameters(*(p[:rows] for p in layer.posterior)), context)


def divergence(
    layer: LatentOutput, posterior: LayerPosterior, flow: Flow | None, rows: int
) -> Tensor:
    """KL [B] in nats from a layer's posterior for the copies to ``posterior``.

    A flow that does not depend on the image is one bijection for both and changes no KL: it is
    the Gaussians'. Otherwise it is estimated at the copy's draw, see `gaussian.flow_divergence`.

    Args:
        layer: of a pass whose rows from ``rows`` on are the copies.
        posterior: [rows, ...].
        flow: the layer's.
        rows: B.
    """
    copy = GaussianParameters(*(p[rows:] for p in layer.posterior))
    q = posterior.parameters
    if flow is None or posterior.context is None:
        return gaussian.sum_event(gaussian.kl_divergence(copy, q))
    back = flow.inverse(layer.z[rows:], posterior.context)
    return gaussian.flow_divergence(copy, q, layer.noise[rows:], layer.log_det[rows:], back)
