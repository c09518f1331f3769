"""The diffusion-based VampPrior (Kuzina & Tomczak 2024), as a hierarchy of Gaussians."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import (
    ConditionalPrior,
    GaussianParameters,
    LatentOutput,
    LayerPosterior,
    Shape3,
    Tensor,
)
from hvae_core.prob import gaussian
from hvae_core.prob.guidance import guided_mean
from hvae_plugins.priors.diffusion_vampprior import DiffusionVampPriorConfig
from hvae_plugins.priors.diffusion_vampprior.cosine_transform import CosineTransform
from hvae_plugins.priors.diffusion_vampprior.denoiser import Denoiser
from hvae_plugins.priors.diffusion_vampprior.diffusion import Diffusion

#: between which the logarithm of the posterior's variance is learned
LEAST_LOG_VARIANCE, MOST_LOG_VARIANCE = -12.0, -5.0
#: images that the scale is taken of, as in the original
MOST_IMAGES = 50_000


class DiffusionVampPrior(ConditionalPrior, keras.layers.Layer):
    """p(u) of the context u, an image's lowest frequencies, by a diffusion model in T steps.

    ``q(u | x) = N(clip(DCT(x) / scale, -1, 1), s^2)`` with s learned for each coefficient. The
    diffusion's states are variables like u: ``p(z_0) prod_k p(z_k | z_{k-1}) p(u | z_T)`` with
    ``q(z_0 | u) prod_k q(z_k | z_{k-1}, u)``, k = 0 the noisiest state, where ``p(z_k | z_{k-1})``
    is ``q(z_k | z_{k-1}, u)`` at the denoiser's guess of u (Kingma et al. 2021, section 3). So the
    bound, importance weights and samples are all of one and the same model of T steps. The KL is
    analytic in each; its terms between the states are the variational-diffusion loss, of which
    every step is computed.

    Under a condition it is p(u | c): the denoiser's guess is made with its embedding, and nothing
    else is. With guidance the guess is moved, which moves each state's mean as much.

    The variables' channels are the states and, last, the context, C channels each. The other
    layers' priors read the context as the image it is of, between -1 and 1.

    Args:
        options: see `DiffusionVampPriorConfig`.
        image_shape: [H, W, C].
        name: the layer's name.
        embedding_width: channels of the condition's embedding; 0: there is none.
    """

    def __init__(
        self,
        options: DiffusionVampPriorConfig,
        image_shape: Shape3,
        name: str,
        embedding_width: int = 0,
    ) -> None:
        super().__init__(name=name)
        height, width, channels = image_shape
        self.image_shape = image_shape
        self.options = options
        self.observed_shape: Shape3 = (options.size, options.size, channels)
        self.transform = CosineTransform(height, width, options.size)
        self.diffusion = Diffusion.linear(options.steps, options.log_snr_min, options.log_snr_max)
        self.denoiser = Denoiser(
            self.observed_shape,
            options.steps,
            options.width,
            options.blocks,
            embedding_width,
            name="denoiser",
        )

    def build(self, input_shape: Any = None) -> None:
        """Create the weights."""
        # Until it is taken of images: what the mean grey of a white image has, else 1.
        scale = np.ones(self.observed_shape, np.float32)
        scale[0, 0] = math.sqrt(math.prod(self.image_shape[:2]))
        self.scale = self.add_weight(
            self.observed_shape, _given(scale), name="scale", trainable=False
        )
        self.mean = self.add_weight(self.observed_shape, "zeros", name="mean", trainable=False)
        self.std = self.add_weight(self.observed_shape, "ones", name="std", trainable=False)
        # Where the posterior has the variance of the cleanest state.
        share = (-self.options.log_snr_max - LEAST_LOG_VARIANCE) / (
            MOST_LOG_VARIANCE - LEAST_LOG_VARIANCE
        )
        share = min(max(share, 0.05), 0.95)
        start = np.full(self.observed_shape, math.log(share / (1.0 - share)), np.float32)
        self.log_variance = self.add_weight(self.observed_shape, _given(start), name="log_variance")
        self.denoiser.build(None)
        self.built = True

    def call(self, image: Tensor) -> Tensor:
        """The images that the contexts of images [B, H, W, C] are of."""
        return self._image(self.observe(image))

    def adapt(self, images: Iterable[np.ndarray]) -> None:
        """Take the scale: the largest ``|floor(DCT)|`` of each coefficient; 1 where that is 0.

        And, in units of it, the mean and the standard deviation.
        """
        largest, first, second = np.zeros((3, *self.observed_shape))
        count = 0
        for batch in images:
            found = self.transform.forward(np.asarray(batch, np.float64))
            largest = np.maximum(largest, np.abs(np.floor(found)).max(axis=0))
            first, second = first + found.sum(axis=0), second + np.square(found).sum(axis=0)
            count += len(batch)
            if count >= MOST_IMAGES:
                break
        scale = np.where(largest > 0, largest, 1.0)
        mean = first / count
        std = np.sqrt(np.maximum(second / count - mean**2, 0.0))
        # No narrower than a posterior may be.
        least = math.exp(0.5 * LEAST_LOG_VARIANCE)
        found_weights = (scale, mean / scale, np.maximum(std / scale, least))
        for weight, value in zip((self.scale, self.mean, self.std), found_weights, strict=True):
            weight.assign(value.astype(np.float32))

    def observe(self, image: Tensor) -> Tensor:
        """The coefficients of images, divided by the scale and cut off at -1 and 1."""
        found = self.transform.forward(ops.cast(image, "float32"))
        return ops.clip(found / ops.cast(self.scale, "float32"), -1.0, 1.0)

    def infer(
        self, observed: Tensor, noise: Tensor, embedding: Tensor | None = None
    ) -> LatentOutput:
        """Draw the context and the states; the KL has no noise but that of the draw."""
        log_std = self._log_std()
        of_states, of_context = self._divided(ops.convert_to_tensor(noise))
        context = observed + ops.exp(log_std) * of_context
        states = self._states(context, of_states)
        q, p = self._posterior(observed, context, states), self._prior(states, embedding)
        kl = gaussian.sum_event(gaussian.kl_divergence(_states_of(q), _states_of(p)))
        # E log q(u | x) - log p(u | z_T): u - z_T / alpha_T is the last state's noise, whatever u.
        kl = kl + ops.sum(self._log_std_of_context - log_std)
        z = self._joined(states, context)
        return LatentOutput(
            z, kl, ops.zeros_like(kl), self._flat(q), self._flat(p), noise, context=None
        )

    def posterior_along(
        self, observed: Tensor, z: Tensor, embedding: Tensor | None = None
    ) -> LayerPosterior:
        """See `Prior.posterior_along`; the posterior is the same under all conditions."""
        states, context = self._divided(z)
        return LayerPosterior(self._flat(self._posterior(observed, context, states)), None)

    def generate(
        self,
        noise: Tensor,
        temperature: Tensor | float,
        embedding: Tensor | None = None,
        guidance: Tensor | None = None,
    ) -> Tensor:
        """Draw the noisiest state, those after it one by one, and the context."""
        numbers, steps = self.diffusion, self.options.steps
        of_states, of_context = self._divided(noise)
        states = [temperature * of_states[:, 0]]
        for k in range(steps):
            guess = self._guess(states[-1][:, None], slice(k, k + 1), embedding)[:, 0]
            if guidance is not None:
                guess = guided_mean(guess, guidance)
            mean = (
                float(numbers.from_state[k]) * states[-1] + float(numbers.from_context[k]) * guess
            )
            states.append(mean + temperature * float(numbers.std[k]) * of_states[:, k + 1])
        deviation = temperature * math.exp(self._log_std_of_context)
        context = states[-1] / float(numbers.alpha[-1]) + deviation * of_context
        return self._joined(ops.stack(states, axis=1), context)

    def context(self, z: Tensor) -> Tensor:
        """See `Prior.context`."""
        return self._image(self._divided(z)[1])

    def _image(self, context: Tensor) -> Tensor:
        image = self.transform.inverse(context * ops.cast(self.scale, "float32"))
        return 2.0 * ops.clip(image, 0.0, 1.0) - 1.0

    def _log_std(self) -> Tensor:
        share = ops.sigmoid(ops.cast(self.log_variance, "float32"))
        span = MOST_LOG_VARIANCE - LEAST_LOG_VARIANCE
        return 0.5 * (LEAST_LOG_VARIANCE + span * share)

    @property
    def _log_std_of_context(self) -> float:
        """Of p(u | z_T)."""
        return math.log(self.diffusion.sigma[-1] / self.diffusion.alpha[-1])

    def _divided(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """States [B, T + 1, h, w, C] and context [B, h, w, C] of all variables [B, h, w, ...]."""
        *size, channels = self.observed_shape
        groups = ops.reshape(z, (-1, *size, self.options.steps + 2, channels))
        groups = ops.transpose(groups, (0, 3, 1, 2, 4))
        return groups[:, :-1], groups[:, -1]

    def _joined(self, states: Tensor, context: Tensor) -> Tensor:
        """All variables [B, h, w, (T + 2) C]: what `_divided` divides."""
        *size, channels = self.observed_shape
        groups = ops.concatenate([states, context[:, None]], axis=1)
        groups = ops.transpose(groups, (0, 2, 3, 1, 4))
        return ops.reshape(groups, (-1, *size, (self.options.steps + 2) * channels))

    def _flat(self, groups: GaussianParameters) -> GaussianParameters:
        return GaussianParameters(*(self._joined(g[:, :-1], g[:, -1]) for g in groups))

    def _states(self, context: Tensor, noise: Tensor) -> Tensor:
        """The states [B, T + 1, h, w, C] of contexts, from the noise of each."""
        count = self.options.steps + 1
        mixed = ops.matmul(
            _tensor(self.diffusion.mixing), ops.reshape(noise, (-1, count, self._size))
        )
        mixed = ops.reshape(mixed, (-1, count, *self.observed_shape))
        return _column(self.diffusion.alpha) * context[:, None] + mixed

    @property
    def _size(self) -> int:
        return math.prod(self.observed_shape)

    def _posterior(self, observed: Tensor, context: Tensor, states: Tensor) -> GaussianParameters:
        """Of each state and the context, given the ones before it: [B, T + 2, h, w, C]."""
        guess = ops.broadcast_to(context[:, None], ops.shape(states[:, 1:]))
        first = float(self.diffusion.alpha[0]) * context[:, None]
        mean = ops.concatenate([first, self._means(states, guess), observed[:, None]], axis=1)
        first = ops.zeros_like(states[:, :1]) + math.log(self.diffusion.sigma[0])
        last = ops.zeros_like(states[:, :1]) + self._log_std()
        return GaussianParameters(mean, self._log_stds(states, first, last))

    def _prior(self, states: Tensor, embedding: Tensor | None) -> GaussianParameters:
        """The same of the prior."""
        guess = self._guess(states[:, :-1], slice(None), embedding)
        first = ops.zeros_like(states[:, :1])
        last = states[:, -1:] / float(self.diffusion.alpha[-1])
        mean = ops.concatenate([first, self._means(states, guess), last], axis=1)
        log_std = self._log_stds(states, first, first + self._log_std_of_context)
        return GaussianParameters(mean, log_std)

    def _means(self, states: Tensor, context: Tensor) -> Tensor:
        """Of each state but the first, given the one before it and the context, or a guess."""
        numbers = self.diffusion
        return (
            _column(numbers.from_state) * states[:, :-1] + _column(numbers.from_context) * context
        )

    def _log_stds(self, states: Tensor, first: Tensor, last: Tensor) -> Tensor:
        between = ops.zeros_like(states[:, 1:]) + _column(np.log(self.diffusion.std))
        return ops.concatenate([first, between, last], axis=1)

    def _guess(self, states: Tensor, steps: slice, embedding: Tensor | None = None) -> Tensor:
        """The denoiser's guess of the contexts [B, T', h, w, C] of states at so many steps."""
        alpha, sigma = (
            _column(numbers[:-1][steps]) for numbers in (self.diffusion.alpha, self.diffusion.sigma)
        )
        if self.options.prediction == "noise":
            return (
                states - sigma * self.denoiser(states, steps=steps, embedding=embedding)
            ) / alpha
        # E[u | z] where u is Gaussian, and what is left in its standard deviations given z.
        mean, std = ops.cast(self.mean, "float32"), ops.cast(self.std, "float32")
        spread = ops.sqrt(ops.square(alpha * std) + ops.square(sigma))
        off = (states - alpha * mean) / spread
        left = self.denoiser(off, steps=steps, embedding=embedding)
        return mean + std / spread * (alpha * std * off + sigma * left)


def _states_of(groups: GaussianParameters) -> GaussianParameters:
    return GaussianParameters(*(g[:, :-1] for g in groups))


def _tensor(array: np.ndarray) -> Tensor:
    return ops.convert_to_tensor(array.astype(np.float32))


def _column(numbers: np.ndarray) -> Tensor:
    """Numbers of each state, to be multiplied with [B, T, h, w, C]."""
    return _tensor(numbers[:, None, None, None])


def _given(array: np.ndarray) -> Any:
    """An initializer that gives the array."""
    return lambda shape, dtype=None: ops.convert_to_tensor(array, dtype=dtype)
