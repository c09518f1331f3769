"""The planar flow."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from hvae.config import single
from hvae.interfaces import Flow, FlowOutput
from hvae.layers import ScaledUniform
from hvae_planar_flow import PlanarConfig


class Planar(Flow, keras.layers.Layer):
    """``z' = z + u tanh(w^T z + b)``, K times, with u, w and b made from the context.

    ``log_det = log1p((1 - tanh^2) w^T u)`` (Rezende and Mohamed 2015, equation 12), where u is
    moved along w so that w^T u > -1, which makes the map invertible (appendix A.1). There is no
    inverse in closed form, and training a posterior needs none. Starts as the identity.

    Args:
        config: the options.
        latent_shape: [H, W, C] of the latent.
        context_channels: of the context [B, H, W, context_channels].
        name: the layer's name.
    """

    def __init__(
        self,
        config: PlanarConfig,
        latent_shape: tuple[int, int, int],
        context_channels: int,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self.count = single(config.layers, "layers")
        self.latent_shape = latent_shape
        self.size = math.prod(latent_shape)
        self.context_size = math.prod(latent_shape[:2]) * context_channels
        self.outward = self._head("outward", self.count * self.size, gain=0.0)
        self.inward = self._head("inward", self.count * self.size, gain=1.0)
        self.shift = self._head("shift", self.count, gain=1.0)

    @staticmethod
    def _head(name: str, units: int, gain: float) -> keras.layers.Dense:
        return keras.layers.Dense(
            units, kernel_initializer=ScaledUniform(gain), dtype="float32", name=name
        )

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        for head in (self.outward, self.inward, self.shift):
            head.build((None, self.context_size))
        self.built = True

    def forward(self, z: Any, context: Any | None = None) -> FlowOutput:
        """See `hvae.interfaces.Flow.forward`."""
        h = ops.reshape(ops.cast(context, "float32"), (-1, self.context_size))
        shape = (-1, self.count, self.size)
        u, w, b = (
            ops.reshape(self.outward(h), shape),
            ops.reshape(self.inward(h), shape),
            self.shift(h),
        )
        alignment = ops.sum(w * u, axis=-1, keepdims=True)
        # softplus(a + log(e - 1)) - 1 > -1, and is 0 at 0: the identity stays one.
        wanted = ops.softplus(alignment + math.log(math.e - 1.0)) - 1.0
        length = ops.sum(w * w, axis=-1, keepdims=True) + 1e-6
        u = u + (wanted - alignment) * w / length
        x = ops.reshape(ops.cast(z, "float32"), (-1, self.size))
        log_det = ops.zeros_like(x[:, 0])
        for k in range(self.count):
            activation = ops.tanh(ops.sum(w[:, k] * x, axis=-1) + b[:, k])
            slope = (1.0 - activation**2) * ops.sum(w[:, k] * u[:, k], axis=-1)
            x = x + u[:, k] * activation[:, None]
            log_det = log_det + ops.log1p(slope)
        return FlowOutput(ops.reshape(x, (-1, *self.latent_shape)), log_det)
