"""The contract of top priors: variables above the latent layers, which their priors read."""

from __future__ import annotations

import abc
from collections.abc import Iterable

import numpy as np

from hvae_core.interfaces.outputs import LatentOutput, LayerPosterior, Shape3, Tensor


class Prior(abc.ABC):
    """A top prior p(u), a Keras layer, so that the model is ``p(u) p(z | u) p(x | z)``.

    Builder: ``(options, image_shape: Shape3, name: str)``. Its variables are the model's first
    latent layer, of the shape that its spec's ``latent_shape(options, image_shape)`` says, and
    whatever is said of a latent layer holds for it: its noise is an argument of that shape, its KL
    and its densities enter the bounds, it can be given. The priors of all other layers read
    `context`, averaged to their scale; its spec's ``context_channels(options, image_shape)`` says
    how many channels that has. The likelihood does not read it.

    It is not given a condition, unless it is a `ConditionalPrior`, and sees of a measurement what
    the encoder does. A configuration with one of these, or with a regularizer, is refused unless
    the spec's ``supports`` allows for it.

    Several variables that are drawn one after the other share the layer as groups of its channels:
    posterior and prior are then those of each given the ones before it.

    Images are float32 [B, H, W, C], 0 where black and 1 where white.
    """

    #: [h, w, c] of what `observe` gives
    observed_shape: Shape3

    def adapt(self, images: Iterable[np.ndarray]) -> None:  # noqa: B027
        """Take statistics of the training images, before the first update of fresh weights.

        What is kept of them is weights that are not trained, so that a saved model has them.

        Args:
            images: batches of them, in order; no more than are wanted need be read.
        """

    @abc.abstractmethod
    def observe(self, image: Tensor) -> Tensor:
        """What the posterior goes by of images: [B, H, W, C] -> [B, h, w, c], float32."""

    @abc.abstractmethod
    def infer(self, observed: Tensor, noise: Tensor) -> LatentOutput:
        """The variables drawn from the posterior with standard-normal ``noise`` [B, h, w, c].

        ``kl`` [B] may be an estimate along this draw, if its mean is the KL.
        """

    @abc.abstractmethod
    def posterior_along(self, observed: Tensor, z: Tensor) -> LayerPosterior:
        """The posterior at variables ``z`` [B, h, w, c], whosever they are."""

    @abc.abstractmethod
    def generate(self, noise: Tensor, temperature: Tensor | float) -> Tensor:
        """The variables [B, h, w, c] drawn from the prior.

        Standard deviations are multiplied by ``temperature``, a number or a scalar tensor. The
        noise ``(z - mean) / std`` of `infer`'s prior gives ``z`` again at temperature 1.
        """

    @abc.abstractmethod
    def context(self, z: Tensor) -> Tensor:
        """What the other layers' priors read of the variables: [B, H, W, channels] in float32."""


class ConditionalPrior(Prior):
    """A top prior that is p(u | c) in a model with a condition, and p(u) in one without.

    Builder: ``(options, image_shape: Shape3, name: str, embedding_width: int)``. Its spec
    ``supports`` ``"embedding"``. Where the model's priors are conditional, the methods that
    `Prior` describes are given the embedding of the condition, [B, `embedding_width`].
    """

    #: channels of the embedding; 0: its methods are given none
    embedding_width: int = 0

    @abc.abstractmethod
    def infer(
        self, observed: Tensor, noise: Tensor, embedding: Tensor | None = None
    ) -> LatentOutput:
        """See `Prior.infer`."""

    @abc.abstractmethod
    def posterior_along(
        self, observed: Tensor, z: Tensor, embedding: Tensor | None = None
    ) -> LayerPosterior:
        """See `Prior.posterior_along`."""

    @abc.abstractmethod
    def generate(
        self,
        noise: Tensor,
        temperature: Tensor | float,
        embedding: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        """See `Prior.generate`.

        With ``guidance`` the rows are a batch under its condition and once more, with the same
        noise, under the null one; each mean is moved by so much from the second's to the first's,
        and both halves get the variables so drawn.
        """
