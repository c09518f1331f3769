"""Convolutions that may be masked and bounded, and the autoregressive network made of them."""

from __future__ import annotations

from typing import Literal

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.layers import ScaledUniform, convolve
from hvae_plugins.flows.conv_sylvester.exponential import bounded, quick_norm_bound


def autoregressive_mask(size: int, inputs: int, outputs: int, strict: bool) -> np.ndarray:
    """Which weights [size, size, inputs, outputs] an autoregressive convolution has: 0 or 1.

    Taps after the centre in raster order are free; at the centre, channel i reaches channel o from
    groups g(i) <= g(o), or < if ``strict``, with g(c) = floor(c m / C) and m the smaller count.
    The Jacobian is triangular with pixels in reverse raster order and channels ascending.
    """
    groups = min(inputs, outputs)
    source = np.arange(inputs) * groups // inputs
    target = np.arange(outputs) * groups // outputs
    mask = np.zeros((size * size, inputs, outputs), np.float32)
    centre = size * size // 2
    mask[centre + 1 :] = 1.0
    compare = np.less if strict else np.less_equal
    mask[centre] = compare(source[:, None], target[None, :])
    return mask.reshape(size, size, inputs, outputs)


class Convolution(keras.layers.Layer):
    """A zero-padded convolution with bias that keeps float64 (Keras's on PyTorch does not).

    Args:
        size: side of the kernel.
        inputs: channels in.
        outputs: channels out.
        gain: of the initial weights; 0 makes them zero.
        mask: 0 where there is no weight, of the kernel's shape.
        norm: the kernel's bound, see `bounded`; None: it has none.
        dtype: float32 or float64.
        name: the layer's name.
    """

    def __init__(
        self,
        size: int,
        inputs: int,
        outputs: int,
        *,
        gain: float = 1.0,
        mask: np.ndarray | None = None,
        norm: float | None = None,
        dtype: str,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.shape = (size, size, inputs, outputs)
        self.initializer = ScaledUniform(gain)
        self.mask = mask
        self.norm = norm

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        self.kernel = self.add_weight(shape=self.shape, initializer=self.initializer, name="kernel")
        self.bias = self.add_weight(shape=self.shape[-1:], initializer="zeros", name="bias")
        self.built = True

    def masked_kernel(self) -> Tensor:
        """The kernel with zeros where there is no weight."""
        kernel = ops.convert_to_tensor(self.kernel)
        if self.mask is not None:
            kernel = kernel * ops.convert_to_tensor(self.mask, dtype=self.dtype)
        return kernel

    def used_kernel(self) -> Tensor:
        """The masked kernel, bounded where it is to be."""
        kernel = self.masked_kernel()
        return kernel if self.norm is None else bounded(kernel, quick_norm_bound, self.norm)

    def call(self, inputs: Tensor) -> Tensor:
        """[B, H, W, inputs] -> [B, H, W, outputs]."""
        return convolve(inputs, self.used_kernel(), self.bias)


class AutoregressiveNetwork(keras.layers.Layer):
    """t1, s1, t2, s2 of the Sylvester step from a masked network (Hoogeboom et al. 2020, 4.2).

    A convolution, ReLU, 1x1, ReLU and four strictly autoregressive heads; the context enters
    unmasked. The heads of t1, s1 and t2 start at zero, so that the step starts as the identity.

    Args:
        size: side of the spatial kernels.
        channels: of the latent.
        hidden: hidden channels; it divides ``channels`` or is divided by it.
        context: channels of the context.
        norm: the bound of the kernels' norms; None: there is none.
        bound_heads: whether the heads' kernels are bounded together, as one, or each.
        dtype: float32 or float64.
        name: the layer's name.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        hidden: int,
        context: int,
        *,
        norm: float | None,
        bound_heads: Literal["together", "each"] = "together",
        dtype: str,
        name: str,
    ) -> None:
        super().__init__(name=name, dtype=dtype)

        def masked(
            size: int, inputs: int, outputs: int, name: str, strict: bool = False, gain: float = 1.0
        ) -> Convolution:
            mask = autoregressive_mask(size, inputs, outputs, strict)
            return Convolution(
                size, inputs, outputs, gain=gain, mask=mask, norm=norm, dtype=dtype,
                name=name,
            )  # fmt: skip

        self.norm, self.bounds_each = norm, bound_heads == "each"
        self.first = masked(size, channels, hidden, "first")
        self.second = masked(1, hidden, hidden, "second")
        self.context = None
        if context:
            self.context = Convolution(size, context, hidden, dtype=dtype, name="context")
        self.heads = [
            masked(size, hidden, channels, name, strict=True, gain=gain)
            for name, gain in (("shift1", 0.0), ("scale1", 0.0), ("shift2", 0.0), ("scale2", 1.0))
        ]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for layer in (self.first, self.second, self.context, *self.heads):
            if layer is not None:
                layer.build()
        self.built = True

    def heads_kernel(self) -> Tensor:
        """The four heads' kernels side by side, as they are used."""
        if self.bounds_each or self.norm is None:
            return ops.concatenate([head.used_kernel() for head in self.heads], axis=-1)
        kernel = ops.concatenate([head.masked_kernel() for head in self.heads], axis=-1)
        return bounded(kernel, quick_norm_bound, self.norm)

    def call(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, ...]:
        """t1, s1 in (-1, 1), t2 and s2 in (-1/2, 1/2), each of the shape of x [B, H, W, C]."""
        hidden = self.first(x)
        if self.context is not None:
            hidden = hidden + self.context(context)
        hidden = ops.relu(self.second(ops.relu(hidden)))
        # One convolution for the four heads.
        bias = ops.concatenate([ops.convert_to_tensor(head.bias) for head in self.heads])
        parts = convolve(hidden, self.heads_kernel(), bias)
        t1, s1, t2, s2 = ops.split(parts, 4, axis=-1)
        return t1, ops.tanh(s1), t2, 0.5 * ops.tanh(s2)
