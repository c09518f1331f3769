"""From the hierarchy to the likelihood's parameters: two ways out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from hvae_core.backends.rematerialisation import rematerialised
from hvae_core.config import ModelConfig
from hvae_core.interfaces import Tensor
from hvae_core.layers import (
    convolution,
    density_dtype,
    factor_between,
    unpatch,
    upsample_nearest,
)
from hvae_core.model.conditioning import condition_entry, enter
from hvae_core.model.shapes import activation, block_shape, build_block


class LatentReadout(keras.layers.Layer):
    """The image is read from the latents (Kuzina & Tomczak 2024, DVP-VAE).

    ``h = (1 / sqrt L) sum_l Up(W_l z_l)``, then 1x1, output blocks and a 3x3 convolution. A
    scale's latents are projected by one convolution of their concatenation, which is the sum of
    the projections. To the finest scale it goes from each scale to the next with the coarser
    sums added, which is the same for nearest neighbours; bilinearly directly, in one step.

    Args:
        config: the model's options.
        parameters: channels of the likelihood's parameters for each pixel.
        remat: compute blocks again in the backward pass.
        name: the layer's name.
    """

    #: whether the image is read from the latents, and not from the decoder's stream
    reads_latents = True

    def __init__(
        self, config: ModelConfig, parameters: int, remat: bool = False, name: str = "readout"
    ) -> None:
        super().__init__(name=name)
        self.remat = remat
        options = config.readout
        self.stages = config.stages
        self.patch = config.patch_size
        self.upsampling = options.upsampling
        self.last_activation = options.last_activation
        self.width = options.width
        self.depth = len(config.block_shapes)
        self.projections = {
            stage.label: convolution(
                options.width,
                1,
                gain=stage.decoder_blocks**0.5,
                name=f"projections-{stage.label}",
            )
            for stage in self.stages
            if stage.decoder_blocks
        }
        self.entries = {
            label: condition_entry(config, options.width, f"condition-{label}")
            for label in self.projections
        }
        self.mix = convolution(options.width, 1, name="mix")
        self.activate = keras.activations.get(activation(config.block_activation, config))
        finest = self.stages[0]
        shape = block_shape(
            config,
            finest,
            options.middle_width,
            options.width,
            in_width=options.width,
            residual=True,
            output_gain=options.blocks**-0.5 if options.blocks else 1.0,
        )
        self.blocks = [
            build_block(config, shape, f"blocks-{index}") for index in range(options.blocks)
        ]
        # In full precision: a bfloat16 mean near 1 is only good to half a grey level.
        self.out = convolution(
            parameters * self.patch**2,
            options.kernel_size or (config.outer_kernel_size if self.patch == 1 else 3),
            dtype=density_dtype(),
            name="out",
        )

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for stage in self.stages:
            if stage.decoder_blocks:
                height, width, channels = stage.latent_shape
                self.projections[stage.label].build(
                    (None, height, width, channels * stage.decoder_blocks)
                )
        for entry in self.entries.values():
            if entry is not None:
                entry.build()
        shape = (None, *self.stages[0].size, self.width)
        for layer in (self.mix, *self.blocks, self.out):
            layer.build(shape)

    def _upsample(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        if self.upsampling == "nearest" or tuple(x.shape[1:3]) == size:
            return upsample_nearest(x, factor_between(size, x.shape[1:3]))
        return ops.image.resize(x, size, interpolation="bilinear", data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """[B, H, W, P], for Keras's summary."""
        return parameters_shape(self.stages[0].size, self.patch, self.out)

    def call(
        self, latents: Sequence[Tensor], x: Tensor | None = None, embedding: Tensor | None = None
    ) -> Tensor:
        """Latents, coarsest first, -> parameters [B, H, W, P] in float32.

        The ``embedding`` [B, width] of a condition enters each scale's projected latents.
        """
        total, index = None, 0
        finest = self.stages[0].size
        for stage in reversed(self.stages):
            size = finest if self.upsampling == "bilinear" else stage.size
            if total is not None:
                total = self._upsample(total, size)
            if stage.decoder_blocks:
                group = list(latents[index : index + stage.decoder_blocks])
                index += stage.decoder_blocks
                projected = self.projections[stage.label](
                    ops.concatenate(group, axis=-1) if len(group) > 1 else group[0]
                )
                projected = enter(self.entries[stage.label], projected, embedding)
                projected = self._upsample(projected, size)
                total = projected if total is None else total + projected
        h = self.activate(self.mix(total * self.depth**-0.5))
        for block in self.blocks:
            h = rematerialised(block)(h) if self.remat else block(h)
        if self.last_activation:
            h = self.activate(h)
        return ops.cast(unpatch(self.out(h), self.patch), "float32")


class FeatureReadout(keras.layers.Layer):
    """The image is read from the decoder's features, ``g x + b`` then 1x1 (Child 2020).

    ``model.readout.gain`` and ``model.readout.kernel_size`` change the two.

    Args:
        config: the model's options.
        parameters: channels of the likelihood's parameters for each pixel.
        remat: of no use here, as one convolution keeps little.
        name: the layer's name.
    """

    #: see `LatentReadout.reads_latents`
    reads_latents = False

    def __init__(
        self, config: ModelConfig, parameters: int, remat: bool = False, name: str = "readout"
    ) -> None:
        super().__init__(name=name)
        self.patch = config.patch_size
        self.width = config.stages[0].decoder_width
        self.size = config.stages[0].size
        # In full precision: a bfloat16 mean near 1 is only good to half a grey level.
        self.out = convolution(
            parameters * self.patch**2,
            config.readout.kernel_size or 1,
            dtype=density_dtype(),
            name="out",
        )
        self.has_gain = config.readout.gain

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        if self.has_gain:
            self.gain = self.add_weight(shape=(self.width,), initializer="ones", name="gain")
            self.bias = self.add_weight(shape=(self.width,), initializer="zeros", name="bias")
        self.out.build((None, *self.size, self.width))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """[B, H, W, P], for Keras's summary."""
        return parameters_shape(self.size, self.patch, self.out)

    def call(
        self, latents: Sequence[Tensor], x: Tensor | None = None, embedding: Tensor | None = None
    ) -> Tensor:
        """The decoder's features ``x`` [B, H, W, width] -> parameters [B, H, W, P] in float32."""
        if self.has_gain:
            x = x * self.gain + self.bias
        return ops.cast(unpatch(self.out(x), self.patch), "float32")


def parameters_shape(size: tuple[int, int], patch: int, out: Any) -> tuple[int | None, ...]:
    """Shape [B, H, W, P] of what the convolution ``out`` gives, unpatched."""
    return (None, size[0] * patch, size[1] * patch, out.filters // patch**2)


#: by `model.readout.kind`
READOUTS: dict[str, type[LatentReadout] | type[FeatureReadout]] = {
    "latents": LatentReadout,
    "features": FeatureReadout,
}
