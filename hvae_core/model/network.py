"""The network of a hierarchical VAE: encoder, latent layers, readout and likelihood."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from hvae_core.config import ModelConfig, PerScale, Precision, check_precision, expand
from hvae_core.errors import BadInputError
from hvae_core.interfaces import (
    ConditionalPrior,
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
from hvae_core.layers import dtype_policy, factor_between, pool_average, seeded
from hvae_core.model.decoder import Decoder, as_tensors
from hvae_core.model.encoder import Encoder
from hvae_core.model.latent import drawn_anew
from hvae_core.model.readout import READOUTS
from hvae_core.model.shapes import hierarchy_shape
from hvae_core.prob.guidance import first_half
from hvae_core.prob.noise import Noise


class HierarchicalNetwork(keras.Model):
    """The network of a hierarchical VAE with L latent layers (Child 2020), built and ready to use.

    ``infer`` and ``generate`` work on tensors inside a compiled function, with their noise as an
    argument.

    Args:
        options: the architecture.
        likelihood: p(x | parameters).
        precision: what the network computes in; densities are float32 always.
        remat: compute blocks again in the backward pass, for less memory: all, or those of each
            scale, finest first.
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
        remat: PerScale[bool] = False,
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
        self.encoder_shape: Shape3 = options.input_shape
        self.condition_values = options.condition_values
        self.latent_shapes: list[Shape3] = options.latent_shapes
        self.likelihood = likelihood
        with dtype_policy(policy), seeded(seed):
            readout = READOUTS[options.readout.kind]
            self.encoder = Encoder(options, remat)
            self.decoder = Decoder(options, remat, ends_at_last_latent=readout.reads_latents)
            finest = expand(remat, len(options.stages), "remat")[0]
            self.readout = readout(options, likelihood.parameters, finest)
            # Last, so that the others' initial weights are those of a model without them.
            attention = options.attention
            self.attention = (
                attention.build(hierarchy_shape(options), name="attention") if attention else None
            )
            condition = options.condition
            with dtype_policy("float32"):  # what is given must not be rounded
                self.condition = condition.build(name="condition") if condition else None
            prior = options.prior
            width = options.embedding_width_of_priors
            self.prior = (
                prior.build(self.image_shape, name="prior", embedding_width=width)
                if prior
                else None
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
        if self.condition is not None and self.condition_values is not None:
            self.condition.build((None, *self.condition_values.shape))
        if self.prior is not None:
            self.prior.build(shape)
            self._first_of_prior = _digest(self.prior)
        self.built = True

    @property
    def feature_shapes(self) -> list[Shape3]:
        """[h, w, c] of what `bottom_up` gives."""
        shapes = [(*stage.size, stage.skip_width) for stage in self.options.stages]
        return shapes if self.prior is None else [*shapes, self.prior.observed_shape]

    def infer(
        self,
        x: Tensor,
        noise: Noise | Sequence[Tensor],
        inputs: Tensor | None = None,
        condition: Tensor | None = None,
        pruned: Sequence[Pruned] | None = None,
        features: list[Tensor] | None = None,
    ) -> PassOutput:
        """The posterior pass.

        Args:
            x: images [B, H, W, C], native values, which the likelihood scores.
            noise: L standard-normal arrays [B, h, w, c], coarsest layer first.
            inputs: [B, H, W, C'], which the encoder sees; None: the images.
            condition: [B, ...], see `ConditionValues`; the bound is then that of p(x | condition).
            pruned: for each layer what of its latent comes from the prior; None: nothing.
            features: what `bottom_up` gave; None: it is called.

        Raises:
            BadInputError: the model has a condition and none is given, or the reverse.
        """
        x = ops.cast(x, "float32")
        embedding = self.embed(condition)
        if features is None:
            features = self.bottom_up(x if inputs is None else inputs)
        stream, layers = self.descend(features, noise, None, embedding, pruned)
        parameters = self.read_out([layer.z for layer in layers], stream, embedding)
        log_likelihood = self.likelihood.log_prob(x, parameters)
        kl = layers[0].kl
        for layer in layers[1:]:
            kl = kl + layer.kl
        return PassOutput(log_likelihood, kl, layers, parameters, features, embedding)

    def embed(self, condition: Tensor | None) -> Tensor | None:
        """The embedding [B, width] of a condition [B, ...], float32 whatever the precision.

        None where the model has no condition.

        Raises:
            BadInputError: one is missing, or given to a model that has none.
        """
        if (self.condition is None) != (condition is None):
            raise BadInputError(
                "The model has no condition, but one is given."
                if self.condition is None
                else "The model has a condition, and none is given."
            )
        return None if self.condition is None else self.condition(condition)

    def bottom_up(self, inputs: Tensor) -> list[Tensor]:
        """The encoder's features of what it sees [B, H, W, C'], finest scale first.

        That is images, or images with further channels, which it is given as they are. Of a model
        with a top prior there is one more: what that prior's posterior goes by.
        """
        mean, scale = self.options.input_mean, self.options.input_scale
        mean = self.image_values.center if mean is None else mean
        scale = self.image_values.half_range if scale is None else scale
        x = ops.cast(inputs, "float32")
        channels = self.options.image_channels
        image, further = (
            (x, None)
            if x.shape[-1] == channels
            else (
                x[..., :channels],
                x[..., channels:],
            )
        )
        observed = [] if self.prior is None else [self.prior.observe(self._shown(image))]
        if (levels := self.options.input_levels) is not None:
            image = ops.floor(image * (levels / 256.0)) * (256.0 / levels)
        image = (image - mean) * (1.0 / scale)
        features = self.encoder(
            image if further is None else ops.concatenate([image, further], axis=-1)
        )
        return [*features, *observed]

    def _shown(self, images: Any) -> Any:
        """Native values, a tensor or an array, as those of a top prior: 0 black, 1 white."""
        return (images - self.image_values.low) * (0.5 / self.image_values.half_range)

    def adapt(self, images: Iterable[np.ndarray]) -> None:
        """Let the top prior, if there is one, take statistics of images; `train` does it.

        Args:
            images: batches [B, H, W, C] of native values, of the training set.
        """
        if self.prior is not None:
            self.prior.adapt(self._shown(np.asarray(batch, np.float32)) for batch in images)

    @property
    def is_to_adapt(self) -> bool:
        """Whether there is a top prior whose weights are still those it was made with.

        It is judged by the weights, so that however a model got others, its statistics stay.
        """
        return self.prior is not None and _digest(self.prior) == self._first_of_prior

    def posteriors(
        self,
        x: Tensor,
        noise: Noise | Sequence[Tensor],
        layers: int | None = None,
        condition: Tensor | None = None,
        pruned: Sequence[Pruned] | None = None,
    ) -> list[LatentOutput]:
        """The posterior pass through the first latent layers, and no further.

        Args:
            x: what the encoder sees [B, H, W, C'].
            noise: standard-normal arrays [B, h, w, c], coarsest layer first.
            layers: so many; None: all.
            condition: see `infer`.
            pruned: see `infer`.
        """
        depth = len(self.latent_shapes) if layers is None else layers
        embedding = self.embed(condition)
        return self.descend(self.bottom_up(x), noise, depth, embedding, pruned)[1]

    def descend(
        self,
        features: Sequence[Tensor],
        noise: Noise | Sequence[Tensor],
        layers: int | None = None,
        embedding: Tensor | None = None,
        pruned: Sequence[Pruned] | None = None,
    ) -> tuple[Tensor, list[LatentOutput]]:
        """The way down of the posterior pass, from features of `bottom_up`.

        Args:
            features: finest scale first.
            noise: standard-normal arrays [B, h, w, c], coarsest layer first.
            layers: stop at the latent of this one, counted from 1; None: pass through all scales.
            embedding: of the condition, see `embed`.
            pruned: see `infer`.

        Returns:
            The last scale's stream (None where it is not reached) and the layers' outputs, coarsest
            first.
        """
        if self.prior is None:
            return self.decoder.infer(features, noise, self.attention, layers, pruned, embedding)
        noise = as_tensors(noise)
        top = self.prior.infer(features[-1], noise[0], **self._for_prior(embedding))
        if pruned is not None:
            top, pruned = drawn_anew(top, pruned[0]), pruned[1:]
        if layers == 1:
            return None, [top]
        depth = None if layers is None else layers - 1
        context = self._context(top.z)
        stream, others = self.decoder.infer(
            features[:-1], noise[1:], self.attention, depth, pruned, embedding, context
        )
        return stream, [top, *others]

    def read_out(
        self, latents: Sequence[Tensor], stream: Tensor, embedding: Tensor | None = None
    ) -> Tensor:
        """The likelihood's parameters [B, H, W, P] of all latents and the last scale's stream."""
        return self.readout(latents if self.prior is None else latents[1:], stream, embedding)

    def _context(self, z: Tensor) -> list[Tensor]:
        """What the layers' priors read of the top prior's variables, for each scale."""
        assert self.prior is not None
        image = self.prior.context(z)
        sizes = [stage.size for stage in self.options.stages]
        return [pool_average(image, factor_between(self.image_shape, size)) for size in sizes]

    def _for_prior(
        self, embedding: Tensor | None, guidance: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What the top prior is told of a condition: one that reads none knows no such argument."""
        if not isinstance(self.prior, ConditionalPrior) or not self.prior.embedding_width:
            return {}
        given = {"embedding": embedding, "guidance": guidance}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def flows(self) -> list[Flow | None]:
        """The latent layers' posterior flows, coarsest layer first."""
        flows = [layer.flow for group in self.decoder.layers_by_stage for layer in group]
        return flows if self.prior is None else [None, *flows]

    def posteriors_along(
        self,
        features: Sequence[Tensor],
        latents: Sequence[Tensor],
        embedding: Tensor | None = None,
    ) -> list[LayerPosterior]:
        """The posteriors of images along latents that need not be theirs.

        Args:
            features: the encoder's features of the images, finest scale first.
            latents: one [B, h, w, c] a layer, coarsest first.
            embedding: of the images' condition, `PassOutput.embedding`.

        Raises:
            BadInputError: the model has a condition and its embedding is not given.
        """
        if self.condition is not None and embedding is None:
            raise BadInputError(
                "The posteriors of a conditional model need the embedding of the condition.",
                "Give posteriors_along the pass's own: PassOutput.embedding.",
            )
        if self.prior is None:
            return self.decoder.posteriors_along(features, latents, self.attention, embedding)
        top, *others = latents
        along = self.decoder.posteriors_along(
            features[:-1], others, self.attention, embedding, self._context(top)
        )
        own = self.prior.posterior_along(features[-1], top, **self._for_prior(embedding))
        return [own, *along]

    def generate(
        self,
        noise: Noise | Sequence[Tensor],
        temperature: Tensor | float = 1.0,
        given: Sequence[Tensor] | None = None,
        are_given: Tensor | None = None,
        condition: Tensor | None = None,
        guidance: Tensor | float | None = None,
    ) -> Tensor:
        """The likelihood's parameters [B, H, W, P] at latents drawn from the prior.

        Args:
            noise: L standard-normal arrays [B, h, w, c], coarsest layer first.
            temperature: scales the priors' standard deviations; a number, or one a layer [L].
            given: latents for the first, coarsest layers, used instead of draws.
            are_given: [L], 1 where a layer's ``noise`` is itself the latent to use, else 0: what
                ``given`` says by its length, in-graph.
            condition: see `infer`.
            guidance: how far each layer's prior is moved from that of the null condition to that
                of the condition and beyond: 0 is the first, 1 the second. None: 1, at half the
                cost.
        """
        if guidance is None or self.condition_values is None:
            embedding = self.embed(condition)
            stream, latents = self._drawn(noise, temperature, given, are_given, embedding)
            return self.readout(latents, stream, embedding)
        guidance = ops.convert_to_tensor(guidance, "float32")
        # Each row twice: under its condition, and under the null one.
        null = self.condition_values.size if self.condition_values.form == "class" else 0
        both = ops.concatenate([condition, ops.full_like(condition, null)], axis=0)
        embedding = self.embed(both)
        twice = [ops.concatenate([n, n], axis=0) for n in as_tensors(noise)]
        stream, latents = self._drawn(
            twice,
            temperature,
            [ops.concatenate([z, z], axis=0) for z in given or ()],
            are_given,
            embedding,
            guidance,
        )
        return self.readout(
            [first_half(z) for z in latents], first_half(stream), first_half(embedding)
        )

    def _drawn(
        self,
        noise: Noise | Sequence[Tensor],
        temperature: Tensor | float,
        given: Sequence[Tensor] | None,
        are_given: Tensor | None,
        embedding: Tensor | None,
        guidance: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """The last scale's stream and the decoder blocks' latents; arguments as of `generate`."""
        if self.prior is None:
            return self.decoder.generate(
                noise, temperature, given, self.attention, are_given, embedding, guidance
            )
        noise = as_tensors(noise)
        scales = ops.broadcast_to(ops.convert_to_tensor(temperature, "float32"), (len(noise),))
        told = self._for_prior(embedding, guidance)
        top = given[0] if given else self.prior.generate(noise[0], scales[0], **told)
        if not given and are_given is not None:
            top = ops.where(are_given[0] > 0.5, noise[0], top)
        return self.decoder.generate(
            noise[1:],
            scales[1:],
            (given or ())[1:],
            self.attention,
            None if are_given is None else are_given[1:],
            embedding,
            guidance,
            self._context(top),
        )


def _digest(layer: Any) -> bytes:
    """Of a layer's weights."""
    arrays = (np.asarray(ops.convert_to_numpy(weight.value)) for weight in layer.weights)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).digest()
