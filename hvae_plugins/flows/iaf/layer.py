"""Inverse autoregressive flows (Kingma et al. 2016)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from hvae_core.config import single
from hvae_core.interfaces import FlowOutput, Shape3, Tensor
from hvae_core.layers import ScaledUniform
from hvae_plugins.flows.dense import Head, MaskedDense
from hvae_plugins.flows.flat import FlatFlow
from hvae_plugins.flows.iaf import IafConfig

#: of the gate's logit at the start (Kingma et al. 2016, section 4)
FORGET_BIAS = 1.0


def degrees(count: int, size: int) -> np.ndarray:
    """How many of the latent's ``size`` numbers each of ``count`` hidden units may see: 0 on."""
    return np.arange(count) * size // count


def mask(sees: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """[inputs, outputs], 1 where an output that may see ``sees`` numbers reads ``seen`` at most."""
    return (seen[:, None] <= sees[None, :]).astype(np.float32)


class MaskedNetwork(keras.layers.Layer):
    """Shift and scale of each number from those before it and the context (Germain et al. 2015).

    Two hidden layers of ELU; the context enters the first unmasked. The heads start at zero.

    Args:
        size: numbers of the latent.
        hidden: hidden units.
        context: numbers of the context.
        dtype: float32 or float64.
        name: the layer's name.
    """

    def __init__(self, size: int, hidden: int, context: int, dtype: str, name: str) -> None:
        super().__init__(name=name, dtype=dtype)
        inside, places = degrees(hidden, size), np.arange(size)
        self.context_size = context
        self.first = MaskedDense(mask(inside, places + 1), dtype=dtype, name="first")
        self.second = MaskedDense(mask(inside, inside), dtype=dtype, name="second")
        self.shift, self.scale = (
            MaskedDense(mask(places, inside), gain=0.0, dtype=dtype, name=name)
            for name in ("shift", "scale")
        )
        self.context = None
        if context:
            self.context = Head(
                hidden, kernel_initializer=ScaledUniform(), dtype=dtype, name="context"
            )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for layer in (self.first, self.second, self.shift, self.scale):
            layer.build()
        if self.context is not None:
            self.context.build((None, self.context_size))
        self.built = True

    def call(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[B, D] and a context [B, F] -> shift and log scale, each [B, D]."""
        hidden = self.first(x)
        if self.context is not None:
            hidden = hidden + self.context(context)
        hidden = ops.elu(self.second(ops.elu(hidden)))
        return self.shift(hidden), self.scale(hidden)


class Iaf(FlatFlow):
    """``z'_i = s_i z_i + m_i``, m_i and s_i of z_1 ... z_i-1 and the context, K times.

    ``log_det = sum_i log s_i`` (Kingma et al. 2016, equation 11). The order of the latent's
    numbers, pixels in raster order and channels last, is reversed in every second flow. With
    ``log s = 2 tanh(r / 2)`` it starts as the identity; ``gated`` is the update of the paper's
    equations 13 and 14, ``s = sigmoid(r + 1)`` and ``m = (1 - s) shift``.

    Args:
        config: the options.
        latent_shape: [H, W, C] of the latent.
        context_channels: of the context [B, H, W, context_channels].
        name: the layer's name.
    """

    invertible = "iterative"

    def __init__(
        self, config: IafConfig, latent_shape: Shape3, context_channels: int, name: str
    ) -> None:
        super().__init__(config, latent_shape, context_channels, name)
        hidden = single(config.hidden, "hidden")
        self.networks = [
            MaskedNetwork(self.size, hidden, self.context_size, self.precision, f"networks-{k}")
            for k in range(single(config.flows, "flows"))
        ]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for network in self.networks:
            network.build()
        self.built = True

    def _affine(
        self, network: MaskedNetwork, x: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """M and log s [B, D] of one flow."""
        shift, raw = network(x, context)
        if not self.config.gated:
            return shift, 2.0 * ops.tanh(0.5 * raw)
        raw = raw + FORGET_BIAS
        # log sigmoid(r) and 1 - sigmoid(r), both of them exact far from 0 too.
        return ops.exp(-ops.softplus(raw)) * shift, -ops.softplus(-raw)

    def _inputs(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Latent [B, D] and context [B, F], None where it takes none."""
        h = self._flat(context, self.context_size) if self.context_size else None
        return self._flat(z, self.size), h

    def forward(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """See `Flow.forward`; ``context`` is [B, H, W, context_channels]."""
        x, h = self._inputs(z, context)
        total = ops.zeros_like(x[:, 0])
        for place, network in enumerate(self.networks):
            x = turned(x, place)
            shift, log_scale = self._affine(network, x, h)
            x = turned(x * ops.exp(log_scale) + shift, place)
            total = total + ops.sum(log_scale, axis=-1)
        return self._output(x, total)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> FlowOutput:
        """See `Flow.inverse`: as many passes through each network as the latent has numbers."""
        x, h = self._inputs(z, context)
        total = ops.zeros_like(x[:, 0])
        for place, network in reversed(list(enumerate(self.networks))):
            x = turned(x, place)
            x = self._solve(network, x, h)
            total = total + ops.sum(self._affine(network, x, h)[1], axis=-1)
            x = turned(x, place)
        return self._output(x, total)

    def _solve(self, network: MaskedNetwork, z: Tensor, context: Tensor | None) -> Tensor:
        """The x that the flow takes to ``z``: a pass settles one more number for good."""

        def settle(_: Tensor, x: Tensor) -> Tensor:
            shift, log_scale = self._affine(network, x, context)
            return (z - shift) * ops.exp(-log_scale)

        return ops.fori_loop(0, self.size, settle, ops.zeros_like(z))


def turned(x: Tensor, place: int) -> Tensor:
    """[B, D] in the order of the flow at ``place``, and back."""
    return ops.flip(x, axis=-1) if place % 2 else x
