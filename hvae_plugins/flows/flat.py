"""What flows of the latent as one vector have in common."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from hvae_core.errors import ConfigError
from hvae_core.interfaces import Flow, FlowOutput, Shape3, Tensor
from hvae_core.layers import density_dtype


class FlatFlow(Flow, keras.layers.Layer):
    """A flow of the latent's D numbers, and of its context's F as one vector.

    It computes in the precision of densities.

    Args:
        config: the options.
        latent_shape: [H, W, C] of the latent; D = H W C.
        context_channels: of the context [B, H, W, context_channels]; F = H W context_channels.
        name: the layer's name.
    """

    def __init__(self, config: Any, latent_shape: Shape3, context_channels: int, name: str) -> None:
        self.precision = density_dtype()
        super().__init__(name=name, dtype=self.precision)
        self.config = config
        self.latent_shape = latent_shape
        self.size = math.prod(latent_shape)
        self.context_size = math.prod(latent_shape[:2]) * context_channels

    def _need_context(self, flow: str) -> None:
        """Refuse to be without a context.

        Raises:
            ConfigError: naming the flow.
        """
        if not self.context_size:
            raise ConfigError(
                f"model.flow.context_channels is 0 for a latent of shape {list(self.latent_shape)};"
                f" the {flow} flow makes its parameters from them.",
                "Give at least 1 at each scale that has flows.",
            )

    def _flat(self, values: Tensor, size: int) -> Tensor:
        """[B, H, W, C] -> [B, size]."""
        return ops.reshape(ops.cast(values, self.precision), (-1, size))

    def _output(self, x: Tensor, log_det: Tensor) -> FlowOutput:
        """Of the latent [B, D] and log_det [B]."""
        return FlowOutput(ops.reshape(x, (-1, *self.latent_shape)), log_det)
