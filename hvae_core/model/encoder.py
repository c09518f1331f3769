"""The bottom-up pass: features of the image at every scale."""

from __future__ import annotations

from typing import Any

import keras

from hvae_core.backends.pieces import piece
from hvae_core.backends.rematerialisation import rematerialised
from hvae_core.config import ModelConfig, PerScale, expand
from hvae_core.interfaces import Tensor
from hvae_core.layers import (
    Factor,
    convolution,
    factor_between,
    pool_average,
    resize_channels,
)
from hvae_core.model.shapes import activation, block_shape, build_block


class Transition(keras.layers.Layer):
    """From one scale's channels to another's: projection and activation, or padding.

    Args:
        width: channels out.
        config: gives `channel_change` and `pool_activation`.
        name: the layer's name.
        is_identity: the scales have one size and one width; nothing happens between them.
        pools: by how much the projection makes the map smaller: kernel and stride of it.
    """

    def __init__(
        self,
        width: int,
        config: ModelConfig,
        name: str,
        *,
        is_identity: bool = False,
        pools: Factor = 1,
    ) -> None:
        super().__init__(name=name)
        self.width = width
        self.projection = None
        if config.channel_change == "projection" and not is_identity:
            self.projection = convolution(width, pools, strides=pools, name="projection")
            self.activate = keras.activations.get(activation(config.pool_activation, config))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        if self.projection is not None:
            self.projection.build(input_shape)

    def call(self, x: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, width], smaller where it pools."""
        if self.projection is None:
            return resize_channels(x, self.width)
        return self.activate(self.projection(x))


class Encoder(keras.layers.Layer):
    """Residual blocks at each scale, finest first, with pooling between the scales.

    Args:
        config: the model's options.
        remat: compute blocks again in the backward pass: all, or those of each scale.
        name: the layer's name.
    """

    def __init__(
        self, config: ModelConfig, remat: PerScale[bool] = False, name: str = "encoder"
    ) -> None:
        super().__init__(name=name)
        self.remat = tuple(expand(remat, len(config.stages), "remat"))
        self.stages = config.stages
        self.stem = convolution(
            self.stages[0].width,
            config.patch_size if config.patch_size > 1 else config.first_kernel_size,
            strides=config.patch_size,
            name="stem",
        )
        # As in the original, the depth of the encoder alone scales its residual branches.
        depth = sum(stage.encoder_blocks for stage in self.stages)
        self.blocks: list[list[keras.layers.Layer]] = []
        self.transitions: list[Transition] = []
        self.skips: list[keras.layers.Layer] = []
        self.averages = config.pooling == "average"
        for stage in self.stages:
            if config.skip_projections:
                self.skips.append(convolution(stage.skip_width, 1, name=f"skips-{stage.label}"))
            if stage.index:
                finer = self.stages[stage.index - 1]
                self.transitions.append(
                    Transition(
                        stage.width,
                        config,
                        name=f"transitions-{stage.label}",
                        is_identity=(finer.size, finer.width) == (stage.size, stage.width),
                        pools=1 if self.averages else factor_between(finer.size, stage.size),
                    )
                )
            shape = block_shape(
                config,
                stage,
                stage.encoder_middle_width,
                stage.width,
                residual=True,
                output_gain=depth**-0.5 if depth else 1.0,
                kernel_size=stage.encoder_kernel_size,
                middle_layers=stage.encoder_middle_layers,
            )
            first = sum(len(blocks) for blocks in self.blocks)
            self.blocks.append(
                [
                    build_block(config, shape, f"blocks-{first + index}")
                    for index in range(stage.encoder_blocks)
                ]
            )
        self.encoder_shape = config.input_shape
        self.pools_first = config.pool_order == "pool-first"

    def compute_output_shape(self, input_shape: Any) -> list[tuple[int | None, ...]]:
        """The features' shapes, finest scale first, for Keras's summary."""
        return [(None, *stage.size, stage.skip_width) for stage in self.stages]

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        self.stem.build((None, *self.encoder_shape))
        for stage in self.stages:
            shape = (None, *stage.size, stage.width)
            if stage.index:
                finer = self.stages[stage.index - 1]
                size = stage.size if self.averages else finer.size
                self.transitions[stage.index - 1].build((None, *size, finer.width))
            for block in self.blocks[stage.index]:
                block.build(shape)
            for skip in self.skips[stage.index : stage.index + 1]:
                skip.build(shape)

    def call(self, x: Tensor) -> list[Tensor]:
        """The standardised image [B, H, W, C'] -> features of each scale, finest first.

        A scale's features are the output of its last block (with ``model.pooling_block``, of the
        one before); with no such block, what enters the scale. With ``model.skip_projections``
        they are projected.
        """
        h = self.stem(x)
        features: list[Tensor] = []
        for stage in self.stages:
            if stage.index:
                factor = factor_between(self.stages[stage.index - 1].size, stage.size)
                # Pooling and projecting commute; pooled first, the projection is cheaper. The
                # activation that follows the projection does not commute.
                if self.averages and self.pools_first:
                    h = pool_average(h, factor)
                h = self.transitions[stage.index - 1](h)
                if self.averages and not self.pools_first:
                    h = pool_average(h, factor)
            blocks = self.blocks[stage.index]
            if self.remat[stage.index]:
                blocks = [rematerialised(block) for block in blocks]
            blocks = [piece(block) for block in blocks]
            taken_after = len(blocks) - stage.pooling_block
            for block in blocks[:taken_after]:
                h = block(h)
            features.append(self.skips[stage.index](h) if self.skips else h)
            for block in blocks[taken_after:]:
                h = block(h)
        return features
