"""The top-down pass through all latent layers."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from hvae_core.config import ModelConfig, StageConfig
from hvae_core.interfaces import LatentOutput, Tensor
from hvae_core.layers import upsample_nearest
from hvae_core.model.encoder import Transition
from hvae_core.model.latent import LatentLayer
from hvae_core.model.noise import Noise


class Decoder(keras.layers.Layer):
    """Latent layers from the coarsest scale to the finest.

    A scale's stream starts as its learned bias plus the coarser stream, upsampled. Where the image
    is read from the latents, the stream ends at the last latent layer.

    Args:
        config: the model's options.
        name: the layer's name.
    """

    def __init__(self, config: ModelConfig, name: str = "decoder") -> None:
        super().__init__(name=name)
        self.stages = tuple(reversed(config.stages))
        if config.readout.kind == "latents":
            # Nothing reads the stream past the last latent layer.
            last = max(i for i, stage in enumerate(self.stages) if stage.decoder_blocks)
            self.stages = self.stages[: last + 1]
        self.top = config.top
        depth = len(config.latent_shapes)
        self.layers_by_stage: list[list[LatentLayer]] = []
        self.transitions: list[Transition] = []
        built = 0
        for stage in self.stages:
            if self.layers_by_stage:
                self.transitions.append(
                    Transition(stage.width, config, name=f"transitions-{stage.resolution}")
                )
            layers = []
            for _ in range(stage.decoder_blocks):
                built += 1
                ends = built == depth and config.readout.kind == "latents"
                layers.append(LatentLayer(config, stage, depth, ends, name=f"blocks-{built - 1}"))
            self.layers_by_stage.append(layers)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        self.biases: dict[int, keras.Variable] = {}
        for index, stage in enumerate(self.stages):
            side = stage.resolution
            if stage.learned_bias and not (index == 0 and self.top == "zeros"):
                self.biases[side] = self.add_weight(
                    shape=(1, side, side, stage.width), initializer="zeros", name=f"bias-{side}"
                )
            if index:
                coarser = self.stages[index - 1]
                self.transitions[index - 1].build((None, side, side, coarser.width))
            for layer in self.layers_by_stage[index]:
                layer.build()

    def _enter(self, index: int, stage: StageConfig, x: Tensor | None, rows: Tensor) -> Tensor:
        """The stream at the start of a scale; ``x`` is the coarser scale's, None at the top."""
        shape = (rows, stage.resolution, stage.resolution, stage.width)
        bias = self.biases.get(stage.resolution)
        if x is None:
            if bias is None:
                return ops.zeros(shape, dtype=self.compute_dtype)
            return ops.broadcast_to(ops.cast(bias, self.compute_dtype), shape)
        # Projecting before upsampling is the same and cheaper.
        x = self.transitions[index - 1](x)
        x = upsample_nearest(x, stage.resolution // x.shape[1])
        return x if bias is None else x + ops.cast(bias, x.dtype)

    def infer(
        self, features: Sequence[Tensor], noise: Noise | Sequence[Tensor]
    ) -> tuple[Tensor, list[LatentOutput]]:
        """The posterior pass.

        Args:
            features: the encoder's, finest scale first.
            noise: one array a latent layer.

        Returns:
            The last scale's stream [B, H, W, width] and the layers' outputs, coarsest first.
        """
        noise = as_tensors(noise)
        rows = ops.shape(features[0])[0]
        x: Tensor | None = None
        outputs: list[LatentOutput] = []
        for index, stage in enumerate(self.stages):
            x = self._enter(index, stage, x, rows)
            for layer in self.layers_by_stage[index]:
                x, output = layer.infer(x, features[stage.index], noise[len(outputs)])
                outputs.append(output)
        return x, outputs

    def generate(
        self,
        noise: Noise | Sequence[Tensor],
        temperature: Tensor | float,
        given: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """The prior pass.

        Args:
            noise: one array a latent layer.
            temperature: scales the priors' standard deviations.
            given: latents to use for the first, coarsest layers instead of drawing them.

        Returns:
            The last scale's stream and all latents, coarsest first.
        """
        given = given or ()
        noise = as_tensors(noise)
        rows = ops.shape(noise[0])[0]
        x: Tensor | None = None
        latents: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            x = self._enter(index, stage, x, rows)
            for layer in self.layers_by_stage[index]:
                place = len(latents)
                known = given[place] if place < len(given) else None
                x, z = layer.generate(x, noise[place], temperature, known)
                latents.append(z)
        return x, latents


def as_tensors(noise: Noise | Sequence[Tensor]) -> list[Tensor]:
    """Noise that may be recorded NumPy arrays as tensors."""
    return [ops.convert_to_tensor(noise[index]) for index in range(len(noise))]
