"""The evidence lower bound and its units. Importing this needs no Keras."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hvae_core.interfaces import LatentOutput, Tensor

LN2 = math.log(2.0)


def bits_per_dim(nats: Tensor, image_shape: Sequence[int]) -> Tensor:
    """The bits each of the H W C values of an image costs when its log density is ``nats``."""
    return -nats / (math.prod(image_shape) * LN2)


def log_ratio(layer: LatentOutput) -> Tensor:
    """``log p(z) - log q(z|x)`` [B] in nats at a layer's drawn z, for importance weighting.

    With a flow ``log q(z|x) = log q(z_0|x) - log_det``.
    """
    from hvae_core.prob import gaussian

    log_q = gaussian.standard_log_prob(layer.noise, layer.posterior)
    return gaussian.sum_event(gaussian.log_prob(layer.z, layer.prior) - log_q) + layer.log_det
