"""The network that sees a noisy context and its place in the diffusion."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.layers import convolution


def time_features(steps: int, width: int) -> np.ndarray:
    """Sine and cosine features [steps, width] of the times 1, ..., 2 / steps, 1 / steps."""
    times = np.arange(steps, 0, -1)[:, None] / steps
    half = (width + 1) // 2
    frequencies = 1000.0 * np.exp(-math.log(10_000.0) * np.arange(half) / max(1, half - 1))
    angles = times * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width].astype(np.float32)


class DenoiserBlock(keras.layers.Layer):
    """``x + conv(silu((1 + s) conv(silu(x)) + b))``, scale s and shift b being the time's.

    Those of a condition's embedding are added to them, and start at zero.

    Args:
        width: channels.
        embedding_width: channels of the embedding; 0: there is none.
        name: the layer's name.
    """

    def __init__(self, width: int, embedding_width: int, name: str) -> None:
        super().__init__(name=name)
        self.width, self.embedding_width = width, embedding_width
        self.first = convolution(width, 3, name="first")
        self.time = convolution(2 * width, 1, name="time")
        self.condition = (
            convolution(2 * width, 1, name="condition", gain=0.0) if embedding_width else None
        )
        self.second = convolution(width, 3, name="second", gain=0.1)

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        self.first.build(input_shape)
        self.time.build((None, 1, 1, self.width))
        if self.condition is not None:
            self.condition.build((None, 1, 1, self.embedding_width))
        self.second.build(input_shape)

    def call(self, x: Tensor, times: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Features [B T, h, w, width] of B contexts at T times [T, 1, 1, width].

        ``embedding`` is [B, 1, 1, embedding width].
        """
        _, height, width, channels = x.shape
        moved = self.time(times)
        if self.condition is not None:
            moved = moved + self.condition(embedding)[:, None]
        h = self.first(keras.activations.silu(x))
        h = ops.reshape(h, (-1, times.shape[0], height, width, channels))
        h = h * (1.0 + moved[..., :channels]) + moved[..., channels:]
        h = ops.reshape(h, (-1, height, width, channels))
        return x + self.second(keras.activations.silu(h))


class Denoiser(keras.layers.Layer):
    """Residual blocks on the map of coefficients, each of which has a learned start of its own.

    Its last convolution starts at zero.

    Args:
        shape: [h, w, C] of a context.
        steps: of the diffusion.
        width: channels inside.
        blocks: how many.
        embedding_width: channels of a condition's embedding; 0: there is none.
        name: the layer's name.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        steps: int,
        width: int,
        blocks: int,
        embedding_width: int,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.shape, self.width = shape, width
        self.features = time_features(steps, width)
        self.stem = convolution(width, 3, name="stem")
        self.time = convolution(width, 1, name="time")
        self.blocks = [
            DenoiserBlock(width, embedding_width, name=f"blocks-{index}") for index in range(blocks)
        ]
        self.out = convolution(shape[-1], 3, name="out", gain=0.0)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        *size, channels = self.shape
        self.stem.build((None, *size, channels))
        self.time.build((None, 1, 1, self.width))
        self.place = self.add_weight((1, *size, self.width), "zeros", name="place")
        for block in self.blocks:
            block.build((None, *size, self.width))
        self.out.build((None, *size, self.width))

    def call(self, states: Tensor, steps: slice, embedding: Tensor | None = None) -> Tensor:
        """States [B, T, h, w, C] at the times of ``steps``, noisiest first -> the same shape.

        ``embedding`` [B, embedding width] is that of the condition, where there is one.
        """
        if embedding is not None:
            embedding = ops.reshape(embedding, (-1, 1, 1, embedding.shape[-1]))
            embedding = ops.cast(embedding, self.compute_dtype)
        times = ops.convert_to_tensor(self.features[steps][:, None, None, :])
        times = keras.activations.silu(self.time(ops.cast(times, self.compute_dtype)))
        x = ops.reshape(ops.cast(states, self.compute_dtype), (-1, *self.shape))
        x = self.stem(x) + ops.cast(self.place, self.compute_dtype)
        for block in self.blocks:
            x = block(x, times, embedding=embedding)
        out = self.out(keras.activations.silu(x))
        return ops.cast(ops.reshape(out, (-1, len(self.features[steps]), *self.shape)), "float32")
