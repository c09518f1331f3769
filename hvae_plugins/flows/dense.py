"""Dense layers for the parameters of flows."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.layers import ScaledUniform


class Head(keras.layers.Dense):
    """A dense layer that keeps float64, which Keras's matmul on PyTorch does not."""

    def call(self, inputs: Tensor) -> Tensor:
        """[B, F] -> [B, units]."""
        return inputs @ ops.convert_to_tensor(self.kernel) + self.bias


class MaskedDense(keras.layers.Layer):
    """A dense layer whose kernel is 0 where its mask is.

    Args:
        mask: [inputs, outputs], 0 or 1.
        gain: of the initial weights; 0 makes them zero.
        dtype: float32 or float64.
        name: the layer's name.
    """

    def __init__(self, mask: np.ndarray, *, gain: float = 1.0, dtype: str, name: str) -> None:
        super().__init__(name=name, dtype=dtype)
        self.mask, self.initializer = mask, ScaledUniform(gain)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        shape = self.mask.shape
        self.kernel = self.add_weight(shape=shape, initializer=self.initializer, name="kernel")
        self.bias = self.add_weight(shape=shape[1:], initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """[B, inputs] -> [B, outputs]."""
        mask = ops.convert_to_tensor(self.mask, dtype=self.dtype)
        return inputs @ (ops.convert_to_tensor(self.kernel) * mask) + self.bias
