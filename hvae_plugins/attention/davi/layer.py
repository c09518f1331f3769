"""Depthwise attention over a VDVAE's scales (Apostolopoulou et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from hvae_core.interfaces import Attention, BlockShape, HierarchyShape, ScaleShape, Tensor
from hvae_core.layers import convolution
from hvae_plugins.attention.davi import DaviConfig
from hvae_plugins.attention.davi.sources import (
    Sources,
    Stack,
    append,
    attention_weights,
    pool,
    weighted_sum,
)


class DaviState(NamedTuple):
    """What can be read: the encoder's finer scales at each scale, and the layers above."""

    encoder: tuple[Stack | None, ...]
    decoder: Sources


class Reader(keras.layers.Layer):
    """What one layer reads on one side: ``y + g (a + gelu(LN(a)))``, the gate g starting at 0.

    ``a = sum_j softmax_j(q . k_j / sqrt d) v_j`` at each pixel, q from a block of its own and LN
    over channels. The paper's ``y + gelu(LN(y))`` is just y here, as the blocks that take it
    begin with an activation: with g = 0 the model is the one without attention.

    Args:
        config: the attention's options.
        hierarchy: makes the block that queries come from.
        scale: the scale the layer is at.
        sources: how many there are; of one there is no choice, and so no query.
        name: the layer's name.
    """

    def __init__(
        self,
        config: DaviConfig,
        hierarchy: HierarchyShape,
        scale: ScaleShape,
        sources: int,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.scale, self.queries, self.query_width = scale, config.queries, config.query_width
        self.query = self.merge = None
        if sources > 1:
            shape = BlockShape(
                resolution=scale.resolution,
                size=scale.size,
                in_width=scale.width,
                middle_width=scale.middle_width,
                out_width=config.queries * config.query_width,
                kernel_size=scale.kernel_size,
                activation=hierarchy.activation,
            )
            self.query = hierarchy.block(shape, "query")
            if config.queries > 1:
                self.merge = convolution(scale.width, 1, name="merge")
        self.norm = keras.layers.LayerNormalization(axis=-1, epsilon=1e-5, name="norm")

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        size, width = self.scale.size, self.scale.width
        if self.query is not None:
            self.query.build((None, *size, width))
        if self.merge is not None:
            self.merge.build((None, *size, self.queries * width))
        self.norm.build((None, *size, width))
        self.gate = self.add_weight(shape=(), initializer="zeros", name="gate")

    def weights_over(self, x: Tensor, sources: Sources) -> Tensor:
        """The attention weights [B, H, W, Q, n] of the stream ``x`` [B, H, W, C], float32."""
        if self.query is None:
            return ops.ones_like(x[..., :1, None], dtype="float32")
        shape = (-1, *self.scale.size, self.queries, self.query_width)
        query = ops.reshape(self.query(x), shape)
        return attention_weights(query, sources)

    def read(self, y: Tensor, x: Tensor, sources: Sources) -> Tensor:
        """``y`` [B, H, W, C] with what the query from ``x`` [B, H, W, C] finds."""
        weights = ops.cast(self.weights_over(x, sources), self.compute_dtype)
        found = weighted_sum(weights, sources)
        found = ops.reshape(found, (-1, *self.scale.size, found.shape[3] * self.scale.width))
        if self.merge is not None:
            found = self.merge(found)
        found = found + ops.gelu(self.norm(found), approximate=False)
        return y + ops.cast(self.gate, y.dtype) * ops.cast(found, y.dtype)


class Davi(Attention, keras.layers.Layer):
    """Depthwise attention of prior and posterior (Apostolopoulou et al. 2022).

    Prior: layer l reads the layers above it, l of them; the value of one is its prior's part in
    the stream, h. Posterior: it reads the encoder's scales finer than its own, which itself comes
    in directly. Keys are 1x1 convolutions of the activated values. On the way up, keys and values
    go to each coarser scale once, by average pooling; on the way down nothing is upsampled, see
    `hvae_plugins.attention.davi.sources`.

    Cost: L latent layers compare themselves with O(L^2) pairs, each pair H W (d + C) products at
    the finer one's pixels. Keys and values are stored once: memory for them is linear in L.

    Args:
        config: the options.
        hierarchy: its scales, all of one width.
        name: the layer's name.
    """

    posterior_weights = ("layers.*.posterior", "scales.*.key")

    def __init__(
        self, config: DaviConfig, hierarchy: HierarchyShape, name: str = "attention"
    ) -> None:
        super().__init__(name=name)
        self.scales = hierarchy.scales
        places = hierarchy.layers
        self.depth = len(places)
        # Scales finer than some latent layer's. They, or the layers, need keys where one reads
        # several.
        self.read = max(scale.index for scale in places)
        self.priors: dict[int, Reader] = {}
        self.posteriors: dict[int, Reader] = {}
        for layer, scale in enumerate(places):
            if layer:
                self.priors[layer] = Reader(
                    config, hierarchy, scale, layer, f"layers-{layer}-prior"
                )
            if scale.index:
                self.posteriors[layer] = Reader(
                    config, hierarchy, scale, scale.index, f"layers-{layer}-posterior"
                )
        self.activate = keras.activations.get(hierarchy.activation)
        width = config.query_width
        self.layer_keys = [
            convolution(width, 1, name=f"layers-{layer}-key")
            for layer in range(self.depth - 1 if self.depth > 2 else 0)
        ]
        self.scale_keys = [
            convolution(width, 1, name=f"scales-{scale.label}-key")
            for scale in self.scales[: self.read if self.read > 1 else 0]
        ]
        self.places = places

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights."""
        for reader in (*self.priors.values(), *self.posteriors.values()):
            reader.build()
        for key, scale in zip(self.layer_keys, self.places, strict=False):
            key.build((None, *scale.size, scale.width))
        for key, scale in zip(self.scale_keys, self.scales, strict=False):
            key.build((None, *scale.size, scale.width))
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The stream at the last latent layer [B, H, W, width], for Keras's summary."""
        last = self.places[-1]
        return (None, *last.size, last.width)

    def _key(self, keys: Sequence[keras.layers.Layer], place: int, value: Tensor) -> Tensor | None:
        return keys[place](self.activate(value)) if keys else None

    def start(self, features: Sequence[Tensor] | None) -> DaviState:
        """See `Attention.start`: all scales' sources, pooled."""
        if features is None:
            return DaviState((), Sources())
        stack: Stack | None = None
        encoder: list[Stack | None] = []
        for scale in self.scales[: self.read + 1]:
            if stack is not None:
                stack = pool(stack, scale.size)
            encoder.append(stack)
            if scale.index < self.read:
                value = features[scale.index]
                stack = append(stack, self._key(self.scale_keys, scale.index, value), value)
        return DaviState(tuple(encoder), Sources())

    def resize(self, state: DaviState, scale: int) -> DaviState:
        """See `Attention.resize`."""
        return DaviState(state.encoder, state.decoder.closed())

    def read_prior(self, state: DaviState, x: Tensor, layer: int) -> Tensor:
        """See `Attention.read_prior`."""
        reader = self.priors.get(layer)
        return x if reader is None else reader.read(x, x, state.decoder)

    def read_posterior(self, state: DaviState, x: Tensor, features: Tensor, layer: int) -> Tensor:
        """See `Attention.read_posterior`."""
        reader = self.posteriors.get(layer)
        if reader is None:
            return features
        stack = state.encoder[self.places[layer].index]
        assert stack is not None  # a scale is finer than this layer's
        return reader.read(features, x, Sources((stack,)))

    def write(self, state: DaviState, h: Tensor, layer: int) -> DaviState:
        """See `Attention.write`."""
        if layer == self.depth - 1:  # nobody comes after
            return state
        return DaviState(state.encoder, state.decoder.add(self._key(self.layer_keys, layer, h), h))
