"""The embedding of real attributes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Condition, Tensor
from hvae_plugins.conditions.vector import VectorConfig


class Vector(Condition, keras.layers.Layer):
    """``MLP([k (v - mean) / scale, k])``, k being 1 where the number v is known and 0 elsewhere.

    Args:
        options: size, widths, mean and scale.
        name: the layer's name.
    """

    def __init__(self, options: VectorConfig, name: str) -> None:
        super().__init__(name=name)
        self.width, self.size = options.width, options.size
        self.mean = np.asarray(options.mean or [0.0] * options.size, np.float32)
        self.scale = np.asarray(options.scale or [1.0] * options.size, np.float32)
        self.hidden = [
            keras.layers.Dense(width, activation="silu", name=f"hidden-{index}")
            for index, width in enumerate(options.hidden)
        ]
        self.out = keras.layers.Dense(options.width, name="out")

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        width = 2 * self.size
        for layer in (*self.hidden, self.out):
            layer.build((None, width))
            width = layer.units

    def call(self, condition: Tensor) -> Tensor:
        """Numbers, and which are known, [B, 2 size] -> [B, width]."""
        numbers, known = condition[:, : self.size], condition[:, self.size :]
        mean, scale = (ops.cast(v, numbers.dtype) for v in (self.mean, self.scale))
        h = ops.concatenate([known * (numbers - mean) / scale, known], axis=-1)
        for layer in (*self.hidden, self.out):
            h = layer(h)
        return h
