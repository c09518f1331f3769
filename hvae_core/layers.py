"""Layers that the hierarchy and its plugins share."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Tensor

__all__ = [
    "Pointwise",
    "ScaledUniform",
    "convolution",
    "density_dtype",
    "dtype_policy",
    "factor_between",
    "pool_average",
    "resize_channels",
    "seeded",
    "unpatch",
    "upsample_nearest",
]


def density_dtype() -> str:
    """What densities are computed in under the current policy: float32, or float64 if asked for."""
    return "float64" if keras.config.dtype_policy().name == "float64" else "float32"


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made inside compute in this precision, whatever the user's ``keras.json`` says.

    Keras's default float type is float32 and its images are channels-last inside; all of it is the
    user's again after.
    """
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    data_format = keras.config.image_data_format()
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_image_data_format(data_format)
        keras.config.set_dtype_policy(policy)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights made inside follow ``seed``; restores Python's generator after."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


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


class Pointwise(keras.layers.Conv2D):
    """A 1x1 convolution as a product of two matrices: on a CPU faster than a convolution.

    XLA's gradient of a product with more than two axes is slower still, so the axes are joined.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """[B, H, W, in] -> [B, H, W, out]."""
        _, height, width, channels = inputs.shape
        rows = ops.reshape(inputs, (-1, channels))
        kernel = ops.reshape(self.kernel, (channels, self.filters))
        out = ops.matmul(rows, kernel) + self.bias
        return ops.reshape(out, (-1, height, width, self.filters))


def convolution(
    width: int,
    kernel_size: int | tuple[int, int],
    *,
    name: str,
    gain: float = 1.0,
    strides: int | tuple[int, int] = 1,
    dtype: str | None = None,
) -> keras.layers.Conv2D:
    """A convolution with bias, zero padding and VDVAE's initial weights times ``gain``.

    ``dtype``: a dtype or a policy, the global policy if None.
    """
    kind = Pointwise if kernel_size == strides == 1 else keras.layers.Conv2D
    return kind(
        width,
        kernel_size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        data_format="channels_last",
        kernel_initializer=ScaledUniform(gain),
        dtype=dtype,
        name=name,
    )


#: by how much a size is larger than another: along both axes, or along height and along width
Factor = int | tuple[int, int]


def factor_between(fine: Sequence[int], coarse: Sequence[int]) -> Factor:
    """By how much a size [height, width] is larger than one that divides it."""
    down, across = fine[0] // coarse[0], fine[1] // coarse[1]
    return down if down == across else (down, across)


def upsample_nearest(x: Tensor, factor: Factor) -> Tensor:
    """[B, H, W, C] -> [B, factor H, factor W, C], each value repeated."""
    if factor == 1:
        return x
    down, across = (factor, factor) if isinstance(factor, int) else factor
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height, 1, width, 1, channels))
    x = ops.broadcast_to(x, (ops.shape(x)[0], height, down, width, across, channels))
    return ops.reshape(x, (-1, height * down, width * across, channels))


def pool_average(x: Tensor, factor: Factor) -> Tensor:
    """[B, H, W, C] -> [B, H / factor, W / factor, C], the mean of each square or rectangle."""
    if factor == 1:
        return x
    return ops.average_pool(x, factor, strides=factor, padding="valid", data_format="channels_last")


def resize_channels(x: Tensor, width: int) -> Tensor:
    """The first ``width`` channels, zeros appended where there are fewer (the original VDVAE)."""
    missing = width - x.shape[-1]
    if missing <= 0:
        return x[..., :width]
    return ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, missing)])


def unpatch(x: Tensor, patch: int) -> Tensor:
    """[B, H, W, patch^2 C] -> [B, patch H, patch W, C]: each position becomes a square."""
    if patch == 1:
        return x
    _, height, width, channels = x.shape
    depth = channels // patch**2
    x = ops.reshape(x, (-1, height, width, patch, patch, depth))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height * patch, width * patch, depth))
