"""The radial flow."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from hvae.config import single
from hvae.interfaces import Flow, FlowOutput
from hvae.layers import ScaledUniform
from hvae_radial_flow import RadialConfig


class Radial(Flow, keras.layers.Layer):
    """``z' = z + b h (z - c)``, ``h = 1 / (a + |z - c|)``, K times, with a, b, c from the context.

    ``log_det = (D - 1) log1p(b h) + log1p(b h - b h^2 |z - c|)`` (Rezende and Mohamed 2015,
    equation 14). The map is invertible where b is above -a (appendix A.2), which a softplus sees
    to. There is no inverse here, and training a posterior needs none. Starts as the identity.

    Args:
        config: the options.
        latent_shape: [H, W, C] of the latent.
        context_channels: of the context [B, H, W, context_channels].
        name: the layer's name.
    """

    def __init__(
        self,
        config: RadialConfig,
        latent_shape: tuple[int, int, int],
        context_channels: int,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self.count = single(config.layers, "layers")
        self.latent_shape = latent_shape
        self.size = math.prod(latent_shape)
        self.context_size = math.prod(latent_shape[:2]) * context_channels
        self.centre = self._head("centre", self.count * self.size, gain=1.0)
        self.reach = self._head("reach", self.count, gain=1.0)
        self.strength = self._head("strength", self.count, gain=0.0)

    @staticmethod
    def _head(name: str, units: int, gain: float) -> keras.layers.Dense:
        return keras.layers.Dense(
            units, kernel_initializer=ScaledUniform(gain), dtype="float32", name=name
        )

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        for head in (self.centre, self.reach, self.strength):
            head.build((None, self.context_size))
        self.built = True

    def forward(self, z: Any, context: Any | None = None) -> FlowOutput:
        """See `hvae.interfaces.Flow.forward`."""
        h = ops.reshape(ops.cast(context, "float32"), (-1, self.context_size))
        centres = ops.reshape(self.centre(h), (-1, self.count, self.size))
        # softplus(x + log(e - 1)) is 1 at 0: there b is 0, and the map the identity.
        a = ops.softplus(self.reach(h) + math.log(math.e - 1.0)) + 0.1
        b = a * (ops.softplus(self.strength(h) + math.log(math.e - 1.0)) - 1.0)
        x = ops.reshape(ops.cast(z, "float32"), (-1, self.size))
        log_det = ops.zeros_like(x[:, 0])
        for k in range(self.count):
            away = x - centres[:, k]
            distance = ops.sqrt(ops.sum(away**2, axis=-1) + 1e-12)
            pull = 1.0 / (a[:, k] + distance)
            along = b[:, k] * pull
            x = x + along[:, None] * away
            log_det = log_det + (self.size - 1) * ops.log1p(along)
            log_det = log_det + ops.log1p(along * (1.0 - distance * pull))
        return FlowOutput(ops.reshape(x, (-1, *self.latent_shape)), log_det)
