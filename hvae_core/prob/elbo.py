"""The evidence lower bound and its units. Importing this needs no Keras."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hvae_core.interfaces import Tensor

LN2 = math.log(2.0)


def elbo(log_likelihood: Tensor, kl: Tensor) -> Tensor:
    """Log p(x|z) - KL, [B] in nats."""
    return log_likelihood - kl


def bits_per_dim(nats: Tensor, image_shape: Sequence[int]) -> Tensor:
    """The bits each of the H W C values of an image costs when its log density is ``nats``."""
    return -nats / (math.prod(image_shape) * LN2)


def importance_weighted(log_weights: Tensor) -> Tensor:
    """Log mean exp over the first axis: K log weights [K, B] -> [B] in nats (Burda et al. 2016).

    A log weight is ``log p(x|z) + sum_l (log p(z_l|.) - log q(z_l|.))`` at one draw of z.
    """
    from keras import ops

    return ops.logsumexp(log_weights, axis=0) - math.log(log_weights.shape[0])
