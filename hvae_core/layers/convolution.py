"""Convolutions as layers, with VDVAE's initial weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.layers.spatial import convolve


class ScaledUniform(keras.initializers.VarianceScaling):
    """U(-g, g) with g = gain / sqrt(fan_in), VDVAE's initial weights.

    Drawn by NumPy from the initializer's seed: the same weights on every backend, and no
    program compiled for each shape.

    Args:
        gain: scales the weights; 0 makes them zero.
        depthwise: the kernel [h, w, C, 1] sees one channel.
        seed: an integer; drawn from Python's ``random`` if None.
    """

    def __init__(self, gain: float = 1.0, depthwise: bool = False, seed: int | None = None) -> None:
        super().__init__(scale=1.0, mode="fan_in", distribution="uniform", seed=seed)
        self.gain = gain
        self.depthwise = depthwise

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        """The initial weights of a kernel [..., in, out]."""
        fan_in = math.prod(shape[:-2] if self.depthwise else shape[:-1])
        limit = self.gain / math.sqrt(fan_in)
        values = np.random.default_rng(self.seed).uniform(-limit, limit, shape)
        return ops.convert_to_tensor(values.astype(np.float32), dtype=dtype)

    def get_config(self) -> dict[str, object]:
        """Keras's description of the initializer."""
        return {"gain": self.gain, "depthwise": self.depthwise, "seed": self._init_seed}


class Convolution(keras.layers.Conv2D):
    """A convolution with bias of images [B, H, W, C], see `convolve`.

    Args:
        width: channels out.
        kernel_size: of the kernel, one number or height and width.
        gain: of the initial weights.
        options: of ``keras.layers.Conv2D``: strides, padding, dtype, name.
    """

    def __init__(
        self,
        width: int,
        kernel_size: int | tuple[int, int],
        *,
        gain: float = 1.0,
        **options: object,
    ) -> None:
        super().__init__(
            width,
            kernel_size,
            data_format="channels_last",
            kernel_initializer=ScaledUniform(gain),
            **options,
        )

    def call(self, inputs: Tensor) -> Tensor:
        """[B, H, W, in] -> [B, H', W', out]."""
        return convolve(inputs, self.kernel, self.bias, self.strides, self.padding)


class DepthwiseConvolution(keras.layers.DepthwiseConv2D):
    """A convolution of each channel by itself, zero-padded, with bias.

    Args:
        kernel_size: side of the kernels.
        name: the layer's name.
    """

    def __init__(self, kernel_size: int, *, name: str) -> None:
        super().__init__(
            kernel_size,
            padding="same",
            data_format="channels_last",
            depthwise_initializer=ScaledUniform(depthwise=True),
            name=name,
        )

    def call(self, inputs: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]."""
        return convolve(inputs, self.kernel, self.bias, depthwise=True)


def convolution(
    width: int,
    kernel_size: int | tuple[int, int],
    *,
    name: str,
    gain: float = 1.0,
    strides: int | tuple[int, int] = 1,
    dtype: str | None = None,
) -> Convolution:
    """A convolution with bias, zero padding and VDVAE's initial weights times ``gain``.

    ``dtype``: a dtype or a policy, the global policy if None.
    """
    return Convolution(
        width,
        kernel_size,
        gain=gain,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        dtype=dtype,
        name=name,
    )
