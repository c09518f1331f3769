"""The network of a hierarchical VAE: encoder, latent layers, readout and likelihood."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from hvae_core.config import ModelConfig, Precision, check_precision
from hvae_core.interfaces import (
    Flow,
    ImageValues,
    LatentOutput,
    LayerPosterior,
    Likelihood,
    PassOutput,
    Pruned,
    Shape3,
    Tensor,
)
from hvae_core.layers import dtype_policy, seeded
from hvae_core.model.decoder import Decoder
from hvae_core.model.encoder import Encoder
from hvae_core.model.readout import READOUTS
from hvae_core.model.shapes import hierarchy_shape
from hvae_core.prob.noise import Noise


class HierarchicalNetwork(keras.Model):
    """The network of a hierarchical VAE with L latent layers (Child 2020), built and ready to use.

    ``infer`` and ``generate`` work on tensors inside a compiled function, with their noise as an
    argument.

    Args:
        options: the architecture.
        likelihood: p(x | parameters).
        precision: what the network computes in; densities are float32 always.
        remat: compute blocks again in the backward pass, for less memory.
        seed: of the initial weights.
        name: the network's name; not part of the names in weights files.

    Raises:
        ConfigError: there is no such precision.
    """

    def __init__(
        self,
        options: ModelConfig,
        likelihood: Likelihood,
        *,
        precision: Precision = "float32",
        remat: bool = False,
        seed: int = 0,
        name: str = "hvae",
    ) -> None:
        # OpenVINO only runs models, on processors that gain nothing from bfloat16 layers.
        trains = keras.config.backend() != "openvino"
        policy = check_precision(precision) if trains else "float32"
        super().__init__(name=name, dtype=policy, autocast=False)
        self.precision, self.initial_seed = precision, seed
        self.options = options
        self.image_shape: Shape3 = options.image_shape
        self.image_values: ImageValues = likelihood.values
        self.latent_shapes: list[Shape3] = options.latent_shapes
        self.likelihood = likelihood
        with dtype_policy(policy), seeded(seed):
            readout = READOUTS[options.readout.kind]
            self.encoder = Encoder(options, remat)
            self.decoder = Decoder(options, remat, ends_at_last_latent=readout.reads_latents)
            self.readout = readout(options, likelihood.parameters, remat)
            # Last, so that the others' initial weights are those of a model without it.
            attention = options.attention
            self.attention = (
                attention.build(hierarchy_shape(options), name="attention") if attention else None
            )
            self.build((None, *self.image_shape))

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Create the weights; called by the constructor."""
        shape = (None, *self.image_shape)
        features = self.encoder.compute_output_shape(shape)
        self.encoder.build(shape)
        self.decoder.build(features[-1])
        self.readout.build(self.decoder.compute_output_shape(features[-1]))
        if self.attention is not None:
            self.attention.build(None)
        self.built = True

    def infer(
        self,
        x: Tensor,
        noise: Noise | Sequence[Tensor],
        pruned: Sequence[Pruned] | None = None,
    ) -> PassOutput:
        """The posterior pass.

        Args:
            x: images [B, H, W, C], native values.
            noise: L standard-normal arrays [B, h, w, c], coarsest layer first.
            pruned: for each layer what of its latent comes from the prior; None: nothing.
        """
        x = ops.cast(x, "float32")
        features = self.bottom_up(x)
        stream, layers = self.decoder.infer(features, noise, self.attention, pruned=pruned)
        parameters = self.readout([layer.z for layer in layers], stream)
        log_likelihood = self.likelihood.log_prob(x, parameters)
        kl = layers[0].kl
        for layer in layers[1:]:
            kl = kl + layer.kl
        return PassOutput(log_likelihood, kl, layers, parameters, features)

    def bottom_up(self, x: Tensor) -> list[Tensor]:
        """The encoder's features of images [B, H, W, C], finest scale first."""
        mean, scale = self.options.input_mean, self.options.input_scale
        mean = self.image_values.center if mean is None else mean
        scale = self.image_values.half_range if scale is None else scale
        x = ops.cast(x, "float32")
        if (levels := self.options.input_levels) is not None:
            x = ops.floor(x * (levels / 256.0)) * (256.0 / levels)
        return self.encoder((x - mean) * (1.0 / scale))

    def posteriors(
        self,
        x: Tensor,
        noise: Noise | Sequence[Tensor],
        layers: int | None = None,
        pruned: Sequence[Pruned] | None = None,
    ) -> list[LatentOutput]:
        """The posterior pass through the first latent layers, and no further.

        Args:
            x: images [B, H, W, C], native values.
            noise: standard-normal arrays [B, h, w, c], coarsest layer first.
            layers: so many; None: all.
            pruned: see `infer`.
        """
        depth = len(self.latent_shapes) if layers is None else layers
        return self.decoder.infer(self.bottom_up(x), noise, self.attention, depth, pruned)[1]

    def descend(
        self,
        features: Sequence[Tensor],
        noise: Noise | Sequence[Tensor],
        layers: int | None = None,
    ) -> tuple[Tensor, list[LatentOutput]]:
        """The way down of the posterior pass, from features of `bottom_up`.

        Args:
            features: finest scale first.
            noise: standard-normal arrays [B, h, w, c], coarsest layer first.
            layers: stop at the latent of this one, counted from 1; None: pass through all scales.

        Returns:
            The last scale's stream and the layers' outputs, coarsest first.
        """
        return self.decoder.infer(features, noise, self.attention, layers)

    @property
    def flows(self) -> list[Flow | None]:
        """The latent layers' posterior flows, coarsest layer first."""
        return [layer.flow for group in self.decoder.layers_by_stage for layer in group]

    def posteriors_along(
        self, features: Sequence[Tensor], latents: Sequence[Tensor]
    ) -> list[LayerPosterior]:
        """The posteriors of images along latents that need not be theirs.

        Args:
            features: the encoder's features of the images, finest scale first.
            latents: one [B, h, w, c] a layer, coarsest first.
        """
        return self.decoder.posteriors_along(features, latents, self.attention)

    def generate(
        self,
        noise: Noise | Sequence[Tensor],
        temperature: Tensor | float = 1.0,
        given: Sequence[Tensor] | None = None,
        are_given: Tensor | None = None,
    ) -> Tensor:
        """The likelihood's parameters [B, H, W, P] at latents drawn from the prior.

        Args:
            noise: L standard-normal arrays [B, h, w, c], coarsest layer first.
            temperature: scales the priors' standard deviations; a number, or one a layer [L].
            given: latents for the first, coarsest layers, used instead of draws.
            are_given: [L], 1 where a layer's ``noise`` is itself the latent to use, else 0: what
                ``given`` says by its length, in-graph.
        """
        stream, latents = self.decoder.generate(
            noise, temperature, given, self.attention, are_given
        )
        return self.readout(latents, stream)
