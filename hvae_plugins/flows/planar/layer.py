"""Amortised planar flows (Rezende & Mohamed 2015)."""

from __future__ import annotations

import math

from keras import ops

from hvae_core.config import single
from hvae_core.interfaces import FlowOutput, Shape3, Tensor
from hvae_core.layers import ScaledUniform
from hvae_plugins.flows.dense import Head
from hvae_plugins.flows.flat import FlatFlow
from hvae_plugins.flows.monotone import root
from hvae_plugins.flows.planar import PlanarConfig

#: added to |w|^2, by which u is moved along w
SMALL = 1e-6
#: the alignment w^T u stays above -1 by this, so that log_det is finite in float32
MARGIN = 1e-4
#: and by this times |w| |u|, of which the alignment is a difference
ROUNDING = 1.2e-7
#: in place of a |w|^2 of 0
TINY = 1e-30


class Planar(FlatFlow):
    """``z' = z + u tanh(w^T z + b)``, K times (Rezende & Mohamed 2015, equation 10).

    ``log_det = log1p((1 - tanh^2) w^T u)`` (equation 12) is exact, and the map invertible where
    w^T u is above -1: u is moved along w until it is (appendix A.1). u, w and b are dense
    functions of the posterior's context, as in van den Berg et al. 2018. Starts as the identity.

    Args:
        config: the options.
        latent_shape: [H, W, C] of the latent.
        context_channels: of the context [B, H, W, context_channels].
        name: the layer's name.
    """

    invertible = "exact"

    def __init__(
        self, config: PlanarConfig, latent_shape: Shape3, context_channels: int, name: str
    ) -> None:
        super().__init__(config, latent_shape, context_channels, name)
        self._need_context("planar")
        self.flows = single(config.flows, "flows")
        self.outward = self._head("outward", self.flows * self.size, 0.0)
        self.inward = self._head("inward", self.flows * self.size, 1.0)
        self.shifts = self._head("shifts", self.flows, 1.0)

    def _head(self, name: str, units: int, gain: float) -> Head:
        return Head(units, kernel_initializer=ScaledUniform(gain), dtype=self.precision, name=name)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for head in (self.outward, self.inward, self.shifts):
            head.build((None, self.context_size))
        self.built = True

    def _amortised(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """U and w [B, K, D], b [B, K] and w^T u [B, K] of all flows."""
        h = self._flat(context, self.context_size)
        shape = (-1, self.flows, self.size)
        u, w = (ops.reshape(head(h), shape) for head in (self.outward, self.inward))
        alignment = ops.sum(w * u, axis=-1)
        # Above -1, and 0 at 0, so that the identity stays one.
        offset = math.log(math.expm1(1.0 - MARGIN))
        wanted = ops.softplus(alignment + offset) - (1.0 - MARGIN)
        square = ops.sum(w * w, axis=-1)
        length = square + SMALL
        rounding = ROUNDING * ops.sqrt(square * ops.sum(u * u, axis=-1))
        u = u + ((wanted - alignment) / length)[..., None] * w
        # What w^T u is now but for its rounding, which of large u and w is more than the margin.
        least = ops.maximum(alignment, MARGIN - 1.0)
        reached = wanted * (square / length) + least * (SMALL / length)
        reached = ops.maximum(reached, ops.stop_gradient(ops.minimum(rounding, 0.5)) - 1.0)
        # So u is moved by what it lacks, and the number that is above -1 is the one that counts.
        lacking = (reached - ops.sum(w * u, axis=-1)) / ops.maximum(square, TINY)
        return u + lacking[..., None] * w, w, self.shifts(h), reached

    def forward(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """See `Flow.forward`; ``context`` is [B, H, W, context_channels]."""
        x = self._flat(z, self.size)
        total = ops.zeros_like(x[:, 0])
        u, w, b, alignment = self._amortised(context)
        for k in range(self.flows):
            activation = ops.tanh(ops.sum(w[:, k] * x, axis=-1) + b[:, k])
            x = x + u[:, k] * activation[:, None]
            total = total + ops.log1p((1.0 - activation**2) * alignment[:, k])
        return self._output(x, total)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """See `Flow.inverse`: one monotone equation of w^T z a flow, solved by bisection."""
        x = self._flat(z, self.size)
        total = ops.zeros_like(x[:, 0])
        u, w, b, alignment = self._amortised(context)
        for k in reversed(range(self.flows)):
            along = ops.sum(w[:, k] * x, axis=-1)
            before = root(alignment[:, k], ops.ones_like(along), b[:, k], along)
            activation = ops.tanh(before + b[:, k])
            x = x - u[:, k] * activation[:, None]
            total = total + ops.log1p((1.0 - activation**2) * alignment[:, k])
        return self._output(x, total)
