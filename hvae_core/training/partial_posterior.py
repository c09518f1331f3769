"""The loss of a second encoder, which completes images that a trained model knows.

``E_{q(z|x)} sum_l KL(q(z_l | z_<l, x) || c(z_l | z_<l, y))`` for images x and measurements y of
them, with the trained q(z|x), p(z) and p(x|z) fixed (Harvey et al. 2022, arXiv 2102.12037). Its
minimum over all c is the mean of q(z|x) over the images that fit y, so that c covers them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import keras
from keras import ops

from hvae_core.interfaces import Attention, Batch, Flow, LatentOutput, LayerPosterior, Tensor
from hvae_core.model.network import HierarchicalNetwork
from hvae_core.prob import gaussian
from hvae_core.prob.noise import Noise
from hvae_core.training.objective import Loss
from hvae_core.weights import model_arrays, weight_names
from hvae_core.weights.parameter_groups import is_chosen

#: sees the image's channels, and of c perhaps a mask
STEM = "encoder.stem.kernel"
#: the weights of c but for those of an attention: what is left is p(z), p(x|z) and how a latent
#: enters the stream
ENCODER = (
    "encoder",
    "decoder.blocks.*.posterior",
    "decoder.blocks.*.posterior_head",
    "decoder.blocks.*.flow",
)


def encoder_weights(attention: Attention | None) -> tuple[str, ...]:
    """The names of the weights of c, of shell style, in a model with this attention."""
    own = () if attention is None else attention.posterior_weights
    return (*ENCODER, *(f"attention.{name}" for name in own))


class Teacher(Protocol):
    """The trained model."""

    def posteriors(
        self,
        x: Tensor,
        noise: Noise | Sequence[Tensor],
        layers: int | None = None,
        condition: Tensor | None = None,
    ) -> list[LatentOutput]:
        """The posterior pass of images."""


class Student(Protocol):
    """The model whose encoder sees measurements."""

    image_shape: tuple[int, int, int]

    @property
    def flows(self) -> Sequence[Flow | None]:
        """The latent layers' flows, coarsest first."""

    def bottom_up(self, inputs: Tensor) -> list[Tensor]:
        """The encoder's features."""

    def embed(self, condition: Tensor | None) -> Tensor | None:
        """The embedding of a condition."""

    def posteriors_along(
        self,
        features: Sequence[Tensor],
        latents: Sequence[Tensor],
        embedding: Tensor | None = None,
    ) -> list[LayerPosterior]:
        """The posteriors along given latents."""


class PartialPosterior:
    """``sum_l KL(q_l || c_l) / dim`` along one draw of q, averaged over the images of a batch.

    Args:
        network: gives c.
        teacher: gives q.
    """

    copies = 1
    regularizer = None

    def __init__(self, network: Student, teacher: Teacher) -> None:
        self.network, self.teacher = network, teacher
        self.dimensions = math.prod(network.image_shape)
        self._encoder = encoder_weights(getattr(network, "attention", None))

    @classmethod
    def of(cls, network: HierarchicalNetwork) -> PartialPosterior:
        """The second encoder begins as the trained one, whose copy is the teacher.

        All weights of ``network`` but those of `encoder_weights` are taken out of training.
        """
        freeze_all_but_encoder(network)
        options = network.options.model_copy(update={"input_channels": None})
        teacher = HierarchicalNetwork(
            options, network.likelihood, precision=network.precision, name="teacher"
        )
        teacher.trainable = False
        arrays = model_arrays(network)
        for name, variable in weight_names(teacher).items():
            array = arrays[name]
            seen = options.image_channels  # of c's stem, the mask's weights are left out
            variable.assign(array[..., :seen, :] if name == STEM else array)
        return cls(network, teacher)

    @property
    def variables(self) -> list[keras.Variable]:
        """What the teacher reads."""
        return list(getattr(self.teacher, "variables", []))

    @property
    def state(self) -> Mapping[str, keras.Variable]:
        """The teacher's weights that the network has no longer, as a checkpoint keeps them."""
        named = weight_names(self.teacher).items()
        return {name: variable for name, variable in named if is_chosen(name, self._encoder)}

    def restored(self) -> None:
        """When the network and `state` have the weights of a checkpoint: take the others."""
        shared = weight_names(self.network)
        for name, variable in weight_names(self.teacher).items():
            if not is_chosen(name, self._encoder):
                variable.assign(ops.convert_to_numpy(shared[name].value))

    def __call__(
        self, batch: Batch, noise: Noise, beta: Tensor | None = None, balanced: Tensor | None = None
    ) -> Loss:
        """The loss of a batch.

        Args:
            batch: images, and as inputs their measurements.
            noise: standard-normal numbers for each latent layer, with which q is drawn from.
            beta: of no use here.
            balanced: of no use here.
        """
        kl = self.divergences(batch, noise)
        total = ops.sum(ops.mean(kl, axis=0))
        terms = {
            "posterior_kl": total / self.dimensions,
            "kl_per_layer": ops.mean(kl, axis=0),
        }
        return Loss(total / self.dimensions, terms)

    def divergences(self, batch: Batch, noise: Noise) -> Tensor:
        """KL(q_l || c_l) of each image and layer [B, L] in nats; arguments as of a call."""
        # 1. q(z | x): the trained model's, along its own draw.
        layers = self.teacher.posteriors(batch.images, noise, condition=batch.condition)
        # 2. c(z_l | z_<l, y), along the same latents.
        features = self.network.bottom_up(batch.inputs)
        embedding = self.network.embed(batch.condition)
        latents = [ops.stop_gradient(layer.z) for layer in layers]
        posteriors = self.network.posteriors_along(features, latents, embedding)
        # 3. How far apart they are.
        triples = zip(layers, posteriors, self.network.flows, strict=True)
        return ops.stack([divergence(q, c, flow) for q, c, flow in triples], axis=-1)


def freeze_all_but_encoder(network: HierarchicalNetwork) -> None:
    """Take all weights but those of `encoder_weights` out of training."""
    chosen = encoder_weights(network.attention)
    for name, variable in weight_names(network).items():
        if not is_chosen(name, chosen):
            variable.trainable = False


def divergence(layer: LatentOutput, posterior: LayerPosterior, flow: Flow | None) -> Tensor:
    """KL(q_l || c_l) of a layer [B] in nats.

    With flows it is estimated at q's draw, see `gaussian.flow_divergence`.

    Args:
        layer: q's, with its draw.
        posterior: c's, before its flow.
        flow: c's.
    """
    q, c = layer.posterior, posterior.parameters
    if flow is None:
        return gaussian.sum_event(gaussian.kl_divergence(q, c))
    back = flow.inverse(layer.z, posterior.context)
    return gaussian.flow_divergence(q, c, layer.noise, layer.log_det, back)
