"""The bottom-up pass: features of the image at every scale."""

from __future__ import annotations

from typing import Any

import keras

from hvae_core.backends.rematerialisation import rematerialised
from hvae_core.config import ModelConfig
from hvae_core.interfaces import Tensor
from hvae_core.layers import convolution, factor_between, pool_average, resize_channels
from hvae_core.model.shapes import activation, block_shape, build_block


class Transition(keras.layers.Layer):
    """From one scale's channels to another's: projection and activation, or padding.

    Args:
        width: channels out.
        config: gives `channel_change` and `pool_activation`.
        name: the layer's name.
    """

    def __init__(self, width: int, config: ModelConfig, name: str) -> None:
        super().__init__(name=name)
        self.width = width
        self.projection = None
        if config.channel_change == "projection":
            self.projection = convolution(width, 1, name="projection")
            self.activate = keras.activations.get(activation(config.pool_activation, config))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        if self.projection is not None:
            self.projection.build(input_shape)

    def call(self, x: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, width]."""
        if self.projection is None:
            return resize_channels(x, self.width)
        return self.activate(self.projection(x))


class Encoder(keras.layers.Layer):
    """Residual blocks at each scale, finest first, with average pooling between the scales.

    Args:
        config: the model's options.
        remat: compute blocks again in the backward pass.
        name: the layer's name.
    """

    def __init__(self, config: ModelConfig, remat: bool = False, name: str = "encoder") -> None:
        super().__init__(name=name)
        self.remat = remat
        self.stages = config.stages
        self.stem = convolution(
            self.stages[0].width,
            config.patch_size if config.patch_size > 1 else config.outer_kernel_size,
            strides=config.patch_size,
            name="stem",
        )
        # As in the original, the depth of the encoder alone scales its residual branches.
        depth = sum(stage.encoder_blocks for stage in self.stages)
        self.blocks: list[list[keras.layers.Layer]] = []
        self.transitions: list[Transition] = []
        for stage in self.stages:
            if stage.index:
                self.transitions.append(
                    Transition(stage.width, config, name=f"transitions-{stage.label}")
                )
            shape = block_shape(
                config,
                stage,
                stage.encoder_middle_width,
                stage.width,
                residual=True,
                output_gain=depth**-0.5 if depth else 1.0,
            )
            first = sum(len(blocks) for blocks in self.blocks)
            self.blocks.append(
                [
                    build_block(config, shape, f"blocks-{first + index}")
                    for index in range(stage.encoder_blocks)
                ]
            )
        self.image_shape = config.image_shape
        self.pools_first = config.pool_order == "pool-first"

    def compute_output_shape(self, input_shape: Any) -> list[tuple[int | None, ...]]:
        """The features' shapes, finest scale first, for Keras's summary."""
        return [(None, *stage.size, stage.width) for stage in self.stages]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        self.stem.build((None, *self.image_shape))
        for stage in self.stages:
            shape = (None, *stage.size, stage.width)
            if stage.index:
                finer = self.stages[stage.index - 1]
                self.transitions[stage.index - 1].build((*shape[:3], finer.width))
            for block in self.blocks[stage.index]:
                block.build(shape)

    def call(self, x: Tensor) -> list[Tensor]:
        """The standardised image [B, H, W, C] -> features of each scale, finest first.

        A scale's features are the output of its last block (with ``model.pooling_block``, of the
        one before); with no such block, what enters the scale.
        """
        h = self.stem(x)
        features: list[Tensor] = []
        for stage in self.stages:
            if stage.index:
                factor = factor_between(self.stages[stage.index - 1].size, stage.size)
                # Pooling and projecting commute; pooled first, the projection is cheaper. The
                # activation that follows the projection does not commute.
                if self.pools_first:
                    h = pool_average(h, factor)
                h = self.transitions[stage.index - 1](h)
                if not self.pools_first:
                    h = pool_average(h, factor)
            blocks = self.blocks[stage.index]
            if self.remat:
                blocks = [rematerialised(block) for block in blocks]
            taken_after = len(blocks) - stage.pooling_block
            for block in blocks[:taken_after]:
                h = block(h)
            features.append(h)
            for block in blocks[taken_after:]:
                h = block(h)
        return features
