"""How the embedding of a condition enters feature maps."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from hvae_core.config import ModelConfig
from hvae_core.interfaces import Tensor
from hvae_core.prob.splitting import split_channels


class ConditionEntry(keras.layers.Layer):
    """``x + W e + b``, or with FiLM ``x (1 + W e + b) + V e + c`` (Perez et al. 2018).

    All start at zero, so that an untrained condition changes nothing.

    Args:
        channels: of the feature maps.
        width: of the embedding.
        film: whether they are scaled too.
        name: the layer's name.
    """

    def __init__(self, channels: int, width: int, film: bool, name: str) -> None:
        super().__init__(name=name)
        self.channels, self.width, self.film = channels, width, film

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        outputs = self.channels * (2 if self.film else 1)
        self.kernel = self.add_weight((self.width, outputs), "zeros", name="kernel")
        self.bias = self.add_weight((outputs,), "zeros", name="bias")

    def call(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Feature maps [B, H, W, channels] and embeddings [B, width] -> [B, H, W, channels]."""
        entered = ops.matmul(embedding, self.kernel) + self.bias
        entered = ops.reshape(entered, (-1, 1, 1, entered.shape[-1]))
        if not self.film:
            return x + entered
        scale, shift = split_channels(entered, [self.channels, self.channels])
        return x * (1.0 + scale) + shift


def condition_entry(config: ModelConfig, channels: int, name: str) -> ConditionEntry | None:
    """The entry of the model's condition into maps of so many channels; None without one."""
    if config.condition is None:
        return None
    film = config.conditioning.entry == "film"
    return ConditionEntry(channels, config.embedding_width, film, name=name)


def enter(entry: ConditionEntry | None, x: Tensor, embedding: Tensor | None) -> Tensor:
    """``x`` with the condition in it, or as it is where there is none."""
    return x if entry is None else entry(x, embedding)
