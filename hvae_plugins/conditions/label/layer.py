"""The embedding of classes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hvae_core.interfaces import Condition, Tensor
from hvae_plugins.conditions.label import LabelConfig


class Label(Condition, keras.layers.Layer):
    """A row of a table for each class, the last one for the null class where there is one.

    Args:
        options: classes, width and dropout.
        name: the layer's name.
    """

    def __init__(self, options: LabelConfig, name: str) -> None:
        super().__init__(name=name)
        self.width = options.width
        self.rows = options.classes + (options.dropout > 0)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        # Rows of unit length in the mean, as large as what a dense layer would make of one-hot.
        spread = keras.initializers.RandomNormal(stddev=self.width**-0.5)
        self.table = self.add_weight((self.rows, self.width), spread, name="table")

    def call(self, condition: Tensor) -> Tensor:
        """Classes [B] -> [B, width]."""
        # The product of one-hot rows and the table: its gradient has the table's shape.
        one_hot = ops.one_hot(ops.cast(condition, "int32"), self.rows, dtype=self.compute_dtype)
        return ops.matmul(one_hot, self.table)
