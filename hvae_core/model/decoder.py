"""The top-down pass through all latent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from hvae_core.backends.pieces import piece
from hvae_core.backends.rematerialisation import rematerialised
from hvae_core.config import ModelConfig, PerScale, StageConfig, expand
from hvae_core.interfaces import Attention, LatentOutput, LayerPosterior, Pruned, Tensor
from hvae_core.layers import factor_between, upsample_nearest
from hvae_core.model.encoder import Transition
from hvae_core.model.latent import LatentLayer
from hvae_core.prob.noise import Noise

#: [B, h, w, c] for each scale, finest first; None where the model has no top prior
Context = Sequence[Tensor] | None
Visit = Callable[[LatentLayer, Tensor], tuple[Tensor, Tensor | None]]


class AttentionPass:
    """The attention of one pass and its state on the way down; without one it changes nothing.

    Args:
        attention: the model's, or None.
        features: the encoder's, finest scale first; None in a prior pass.
    """

    def __init__(
        self, attention: Attention | None, features: Sequence[Tensor] | None = None
    ) -> None:
        self._attention = attention
        self._state = None if attention is None else attention.start(features)
        self._layer = 0

    def enter(self, stage: StageConfig) -> None:
        """The way down reaches a scale."""
        if self._attention is not None:
            self._state = self._attention.resize(self._state, stage.index)

    def stream(self, x: Tensor) -> Tensor:
        """The residual stream as the next latent layer is given it."""
        if self._attention is None:
            return x
        return self._attention.read_prior(self._state, x, self._layer)

    def features(self, x: Tensor, features: Tensor) -> Tensor:
        """The encoder's features as the next latent layer's posterior is given them."""
        if self._attention is None:
            return features
        return self._attention.read_posterior(self._state, x, features, self._layer)

    def write(self, h: Tensor | None) -> None:
        """The layer is done; ``h`` is its prior's part in the stream, None where that ended."""
        if self._attention is not None and h is not None:
            self._state = self._attention.write(self._state, h, self._layer)
        self._layer += 1


class Decoder(keras.layers.Layer):
    """Latent layers from the coarsest scale to the finest.

    A scale's stream starts as its learned bias; before its first block, or the one that
    ``model.mixing_block`` names, the coarser stream is upsampled and added. Where the image
    is read from the latents, the stream ends at the last latent layer.

    Args:
        config: the model's options.
        remat: compute latent layers again in the backward pass: all, or those of each scale.
        ends_at_last_latent: nothing reads the stream past the last latent layer.
        name: the layer's name.
    """

    def __init__(
        self,
        config: ModelConfig,
        remat: PerScale[bool] = False,
        ends_at_last_latent: bool = False,
        name: str = "decoder",
    ) -> None:
        super().__init__(name=name)
        self.remat = tuple(expand(remat, len(config.stages), "remat"))
        self.stages = tuple(reversed(config.stages))
        if ends_at_last_latent:
            last = max(i for i, stage in enumerate(self.stages) if stage.decoder_blocks)
            self.stages = self.stages[: last + 1]
        self.top = config.top
        depth = len(config.block_shapes)
        self.layers_by_stage: list[list[LatentLayer]] = []
        self.transitions: list[Transition] = []
        built = 0
        for stage in self.stages:
            if self.layers_by_stage:
                coarser = self.stages[len(self.transitions)]
                reached = (coarser.size, coarser.decoder_width)
                self.transitions.append(
                    Transition(
                        stage.decoder_width,
                        config,
                        name=f"transitions-{stage.label}",
                        is_identity=reached == (stage.size, stage.decoder_width),
                    )
                )
            layers = []
            for _ in range(stage.decoder_blocks):
                built += 1
                ends = built == depth and ends_at_last_latent
                layers.append(LatentLayer(config, stage, depth, ends, name=f"blocks-{built - 1}"))
            self.layers_by_stage.append(layers)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        self.biases: dict[str, keras.Variable] = {}
        for index, stage in enumerate(self.stages):
            if stage.learned_bias and not (index == 0 and self.top == "zeros"):
                self.biases[stage.label] = self.add_weight(
                    shape=(1, *stage.size, stage.decoder_width),
                    initializer="zeros",
                    name=f"bias-{stage.label}",
                )
            if index:
                coarser = self.stages[index - 1]
                self.transitions[index - 1].build((None, *stage.size, coarser.decoder_width))
            for layer in self.layers_by_stage[index]:
                layer.build()

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The last scale's stream [B, H, W, width], for Keras's summary."""
        last = self.stages[-1]
        return (None, *last.size, last.decoder_width)

    def _start(self, stage: StageConfig, rows: Tensor) -> Tensor:
        """The stream of a scale before anything has entered it."""
        shape = (rows, *stage.size, stage.decoder_width)
        bias = self.biases.get(stage.label)
        if bias is None:
            return ops.zeros(shape, dtype=self.compute_dtype)
        return ops.broadcast_to(ops.cast(bias, self.compute_dtype), shape)

    def _enter(self, index: int, x: Tensor | None, coarser: Tensor) -> Tensor:
        """Scale ``index``'s stream ``x`` (None: untouched yet) with the coarser one added."""
        stage = self.stages[index]
        # Projecting before upsampling is the same and cheaper.
        coarser = self.transitions[index - 1](coarser)
        coarser = upsample_nearest(coarser, factor_between(stage.size, coarser.shape[1:3]))
        if x is not None:
            return x + coarser
        bias = self.biases.get(stage.label)
        return coarser if bias is None else coarser + ops.cast(bias, coarser.dtype)

    def _descend(
        self, rows: Tensor, attention: AttentionPass, visit: Visit, depth: int | None = None
    ) -> Tensor:
        """Pass the stream through all scales, or as far as a layer.

        Args:
            rows: of the batch.
            attention: the pass's attention.
            visit: takes the stream through a latent layer; returns it and the prior's part in it.
            depth: the number of latent layers to visit; None: all, and the scales after them.

        Returns:
            The last scale's stream [B, H, W, width], or the one that the last visit returned.
        """
        coarser: Tensor | None = None
        visited = 0
        for index, stage in enumerate(self.stages):
            layers = self.layers_by_stage[index]
            attention.enter(stage)
            x: Tensor | None = None
            if coarser is None or stage.mixing_block:
                x = self._start(stage, rows)
            for place in range(max(1, len(layers))):
                if coarser is not None and place == stage.mixing_block:
                    x = self._enter(index, x, coarser)
                if layers:
                    x, h = visit(layers[place], attention.stream(x))
                    visited += 1
                    if visited == depth:
                        return x
                    attention.write(h)
            coarser = x
        return coarser

    def infer(
        self,
        features: Sequence[Tensor],
        noise: Noise | Sequence[Tensor],
        attention: Attention | None = None,
        depth: int | None = None,
        pruned: Sequence[Pruned] | None = None,
        embedding: Tensor | None = None,
        context: Context = None,
    ) -> tuple[Tensor, list[LatentOutput]]:
        """The posterior pass.

        Args:
            features: the encoder's, finest scale first.
            noise: one array a latent layer.
            attention: across the layers.
            depth: stop at the latent of this layer, counted from 1; None: pass through all scales.
            pruned: for each latent layer what of it comes from the prior; None: nothing.
            embedding: of the condition [B, width], where the model has one.
            context: what the priors read of the top prior, where the model has one.

        Returns:
            The last scale's stream [B, H, W, width] and the layers' outputs, coarsest first. With
            a ``depth``, the stream is the one that entered that layer.
        """
        noise = as_tensors(noise)
        reads = AttentionPass(attention, features)
        outputs: list[LatentOutput] = []

        def visit(layer: LatentLayer, x: Tensor) -> tuple[Tensor, Tensor | None]:
            given = reads.features(x, features[layer.stage.index])
            place = len(outputs)
            kept = None if pruned is None else pruned[place]
            own = None if context is None else context[layer.stage.index]
            arguments = (x, given, noise[place], kept, embedding, own)
            if place + 1 == depth:
                outputs.append(layer.latent(*arguments)[0])
                return x, None
            again = self.remat[layer.stage.index]
            infer = rematerialised(layer.infer) if again else layer.infer
            x, h, output = piece(infer)(*arguments)
            outputs.append(output)
            return x, h

        return self._descend(ops.shape(features[0])[0], reads, visit, depth), outputs

    def posteriors_along(
        self,
        features: Sequence[Tensor],
        latents: Sequence[Tensor],
        attention: Attention | None = None,
        embedding: Tensor | None = None,
        context: Context = None,
    ) -> list[LayerPosterior]:
        """The posteriors along given latents, whosever they are; coarsest first, as they are."""
        reads = AttentionPass(attention, features)
        posteriors: list[LayerPosterior] = []

        def visit(layer: LatentLayer, x: Tensor) -> tuple[Tensor, Tensor | None]:
            given = reads.features(x, features[layer.stage.index])
            z = latents[len(posteriors)]
            own = None if context is None else context[layer.stage.index]
            x, h, posterior = layer.posterior_along(x, given, z, embedding, own)
            posteriors.append(posterior)
            return x, h

        self._descend(ops.shape(features[0])[0], reads, visit)
        return posteriors

    def generate(
        self,
        noise: Noise | Sequence[Tensor],
        temperature: Tensor | float,
        given: Sequence[Tensor] | None = None,
        attention: Attention | None = None,
        are_given: Tensor | None = None,
        embedding: Tensor | None = None,
        guidance: Tensor | float | None = None,
        context: Context = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """The prior pass.

        Args:
            noise: one array a latent layer.
            temperature: scales the priors' standard deviations; a number, or one a layer [L].
            given: latents to use for the first, coarsest layers instead of drawing them.
            attention: across the layers.
            are_given: [L], 1 where a layer's ``noise`` is itself the latent to use, else 0.
            embedding: of the condition [B, width], where the model has one.
            guidance: see `LatentLayer.generate`.
            context: see `infer`.

        Returns:
            The last scale's stream and all latents, coarsest first.
        """
        given = given or ()
        noise = as_tensors(noise)
        scales = ops.broadcast_to(ops.convert_to_tensor(temperature, "float32"), (len(noise),))
        latents: list[Tensor] = []

        def visit(layer: LatentLayer, x: Tensor) -> tuple[Tensor, Tensor | None]:
            place = len(latents)
            known = given[place] if place < len(given) else None
            is_given = None if are_given is None else are_given[place]
            own = None if context is None else context[layer.stage.index]
            x, h, z = layer.generate(
                x, noise[place], scales[place], known, is_given, embedding, guidance, own
            )
            latents.append(z)
            return x, h

        return self._descend(ops.shape(noise[0])[0], AttentionPass(attention), visit), latents


def as_tensors(noise: Noise | Sequence[Tensor]) -> list[Tensor]:
    """Noise that may be recorded NumPy arrays as tensors."""
    return [ops.convert_to_tensor(noise[index]) for index in range(len(noise))]
