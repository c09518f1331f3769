"""The typed outputs of the hierarchy and its parts: types that compute nothing.

Shapes are channels-last: B batch, H height, W width, C channels. Densities are in nats, float32.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

Tensor = Any
Shape3 = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """What is known of a tensor before there is one: name, shape (None: any size) and dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"


class GaussianParameters(NamedTuple):
    """A diagonal Gaussian: ``mean`` and ``log_std``, both [B, H, W, C] in float32."""

    mean: Tensor
    log_std: Tensor


class FlowOutput(NamedTuple):
    """A transformed latent ``z`` [B, H, W, C] and its ``log_det`` [B] in nats."""

    z: Tensor
    log_det: Tensor


class Pruned(NamedTuple):
    """Which channels of a latent are kept, and the noise that draws the others from the prior.

    ``kept`` [c], 1 or 0; ``noise`` standard normal [B, h, w, c].
    """

    kept: Tensor
    noise: Tensor


class LatentOutput(NamedTuple):
    """What one latent layer returns.

    ``z`` [B, H, W, C] is the latent after any flow; ``kl`` [B] in nats is analytic without a flow
    and the estimate ``log q(z_0|x) - log_det - log p(z)`` with one; ``log_det`` [B] is 0 without;
    ``noise`` is what z_0 was drawn with; ``context`` is what the posterior gave the flow, if any.
    """

    z: Tensor
    kl: Tensor
    log_det: Tensor
    posterior: GaussianParameters
    prior: GaussianParameters
    noise: Tensor
    context: Tensor | None = None


class LayerPosterior(NamedTuple):
    """A layer's posterior at given latents above it: before its flow, and the flow's context."""

    parameters: GaussianParameters
    context: Tensor | None


class PassOutput(NamedTuple):
    """A posterior pass: ``log_likelihood`` [B] and ``kl`` [B] in nats, and all it was made of.

    ``layers`` are the latent layers' outputs, coarsest first; ``parameters`` [B, H, W, P] are the
    likelihood's; ``features`` are the encoder's, finest scale first; ``embedding`` [B, width] is
    that of the condition, None where the model has none.
    """

    log_likelihood: Tensor
    kl: Tensor
    layers: list[LatentOutput]
    parameters: Tensor
    features: list[Tensor]
    embedding: Tensor | None = None
