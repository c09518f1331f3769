"""What can be asked of a model, live or exported, as its methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.evaluation.bounds import Elbo, elbo, log_likelihood
from hvae_core.inference import (
    Denoised,
    Latents,
    PosteriorDraws,
    counterfactual,
    decode,
    denoise,
    encode,
    encoder_inputs,
    features,
    information_gain,
    interpolate,
    posterior_sample,
    reconstruct,
    sample,
)
from hvae_core.inference.engine import Arrays, Engine
from hvae_core.inference.programs import InferenceProgram
from hvae_core.interfaces import UINT8, ConditionValues, ImageValues, Measurement, Shape3
from hvae_core.interfaces.image_shapes import check_image_shape
from hvae_core.interfaces.values import check_image_values
from hvae_core.prob.noise import draw


class Verbs:
    """The verbs of an `Engine`, which a subclass is by its `run` and these attributes.

    They take and give NumPy arrays; images are [B, H, W, C] in the model's native values: uint8,
    uint16 or float32.
    """

    image_shape: Shape3
    image_values: ImageValues
    latent_shapes: list[Shape3]
    #: a `PixelModel`; a live model's is a whole `Likelihood`
    likelihood: Any
    #: see `Engine.encoder_shape` and `Engine.condition_values`
    encoder_shape: Shape3
    condition_values: ConditionValues | None

    def run(self, program: InferenceProgram, inputs: Arrays) -> dict[str, Any]:
        """See `Engine.run`."""
        raise NotImplementedError

    @property
    def is_eager(self) -> bool:
        """See `Engine.is_eager`."""
        return False

    def gives(self, program: InferenceProgram) -> bool:
        """See `Engine.gives`."""
        return True

    def draw(
        self, stream: int, shapes: Sequence[Shape3], indices: Sequence[int] | np.ndarray, seed: int
    ) -> list[Any]:
        """See `Engine.draw`."""
        return draw(stream, shapes, indices, seed)

    def at_size(self, height: int, width: int) -> Verbs:
        """A model of the same weights for images of another size.

        Raises:
            BadInputError: there is none.
        """
        if (height, width) == self.image_shape[:2]:
            return self
        own = "x".join(map(str, self.image_shape[:2]))
        raise BadInputError(
            f"An exported model computes images of {own} alone, not of {height}x{width}.",
            "Export the model at the other size, as with: hvae export PRESET --size "
            f"{height}x{width} -o DIR",
        )

    def engine_at_size(self, height: int, width: int) -> Engine:
        """What computes tiles of this size; errors as in `at_size`."""
        return self.at_size(height, width)

    def elbo(
        self,
        x: np.ndarray,
        noise: Sequence[np.ndarray] | None = None,
        seed: int = 0,
        batch_size: int = 32,
        condition: Any = None,
        inputs: np.ndarray | None = None,
    ) -> Elbo:
        """The evidence lower bound of images, see `hvae_core.evaluation.bounds.elbo`."""
        return elbo(self, x, noise, seed, batch_size, condition, inputs)

    def log_likelihood(
        self, x: np.ndarray, importance_samples: int = 100, seed: int = 0, **options: Any
    ) -> np.ndarray:
        """The importance-weighted bound [B] in nats (Burda et al. 2016)."""
        return log_likelihood(self, x, importance_samples, seed, **options)

    def sample(
        self,
        n: int,
        temperature: float | Sequence[float] | None = 1.0,
        seed: int = 0,
        noise: Sequence[np.ndarray] | None = None,
        batch_size: int | None = None,
        condition: Any = None,
        guidance: float | None = None,
    ) -> np.ndarray:
        """Images from the prior, see `hvae_core.inference.sampling.sample`."""
        return sample(self, n, temperature, seed, noise, batch_size, condition, guidance)

    def encode(
        self,
        x: np.ndarray,
        layers: int | None = None,
        seed: int = 0,
        sample: bool = True,
        noise: Sequence[np.ndarray] | None = None,
        batch_size: int = 32,
        **options: Any,
    ) -> Latents:
        """The latents of images with posteriors and priors, coarsest layer first.

        ``layers=k`` stops after the first k; ``kept=masks`` draws the other channels from the
        prior; ``tile=`` takes images of any size, part by part. See
        `hvae_core.inference.encoding.encode`.
        """
        return encode(self, x, layers, seed, sample, noise, batch_size, **options)

    def decode(
        self,
        latents: Latents | Sequence[np.ndarray | None],
        temperature: float | Sequence[float] | None = 1.0,
        seed: int = 0,
        **options: Any,
    ) -> np.ndarray:
        """Images from latents, layers that are not given being drawn from the prior.

        See `hvae_core.inference.decoding.decode`.
        """
        return decode(self, latents, temperature, seed, **options)

    def features(
        self, x: np.ndarray, batch_size: int = 32, inputs: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """The encoder's maps [B, h, w, width] of each scale, finest first.

        See `hvae_core.inference.encoding.features`.
        """
        return features(self, x, batch_size, inputs)

    def reconstruct(
        self,
        x: np.ndarray,
        latents: int | None = None,
        seed: int = 0,
        temperature: float | Sequence[float] | None = 1.0,
        **options: Any,
    ) -> np.ndarray:
        """Images from the first ``latents`` posteriors, the rest from the prior.

        ``tile=`` takes images of any size, part by part. See
        `hvae_core.inference.reconstruction.reconstruct`.
        """
        return reconstruct(self, x, latents, seed, temperature, **options)

    def denoise(
        self, y: np.ndarray, n: int = 100, seed: int = 0, keep: int | None = None, **options: Any
    ) -> Denoised:
        """Clean images of noisy ones, by a model whose likelihood is a noise model.

        ``.mean`` [B, H, W, C] of ``n`` draws, their ``.std``, and the first ``keep`` ``.draws``
        [keep, B, H, W, C]; see `hvae_core.inference.denoising.denoise`.
        """
        return denoise(self, y, n, seed, keep, **options)

    def counterfactual(
        self, x: np.ndarray, condition: Any, own: Any = None, seed: int = 0, **options: Any
    ) -> np.ndarray:
        """Images as they would be under another condition, their latents being those under ``own``.

        See `hvae_core.inference.counterfactual.counterfactual`.
        """
        return counterfactual(self, x, condition, own, seed, **options)

    def interpolate(
        self, a: np.ndarray, b: np.ndarray, steps: int = 8, **options: Any
    ) -> np.ndarray:
        """Images between two images [steps, H, W, C].

        See `hvae_core.inference.interpolation.interpolate`.
        """
        return interpolate(self, a, b, steps, **options)

    def posterior_sample(
        self,
        y: np.ndarray,
        mask: np.ndarray,
        n: int = 16,
        layers: int | float | None = None,
        temperature: float | Sequence[float] | None = 1.0,
        seed: int = 0,
        **options: Any,
    ) -> PosteriorDraws:
        """Whole images from measurements of them: [n, B, H, W, C], with ``.mean`` and ``.std``.

        See `hvae_core.inference.completion.posterior_sample`. Unknown pixels hold the fill of the
        model's own measurement.
        """
        options.setdefault("fill", self.fill)
        return posterior_sample(self, y, mask, n, layers, temperature, seed, **options)

    def information_gain(
        self, y: np.ndarray, mask: np.ndarray, candidates: np.ndarray, n: int = 16, seed: int = 0,
        **options: Any,
    ) -> np.ndarray:  # fmt: skip
        """What each further measurement is expected to tell, [B, K] in nats.

        See `hvae_core.inference.information.information_gain`.
        """
        options.setdefault("fill", self.fill)
        return information_gain(self, y, mask, candidates, n, seed, **options)

    def encoder_inputs(self, y: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """What the encoder is given of a measurement, as ``inputs=`` of `encode` and others.

        float32 [B, H, W, C'], see `hvae_core.inference.completion.encoder_inputs`. Unknown pixels
        hold the fill of the model's own measurement.
        """
        return encoder_inputs(self, y, mask, self.fill)

    @property
    def fill(self) -> float | None:
        """What unknown pixels held in training; None: the model was not trained on measurements."""
        measurement = self.measurement
        return None if measurement is None else measurement.fill

    @property
    def sees_inputs(self) -> bool:
        """Whether its encoder can be given something else than the image that is scored."""
        return True

    @property
    def measurement(self) -> Measurement | None:
        """What the model's encoder was trained on, or None where it saw whole images."""
        config = getattr(self, "config", None)
        return None if config is None else config.build_measurement()

    def check_images(self, shape: Sequence[int], values: ImageValues = UINT8) -> None:
        """Refuse images of another shape or of other values.

        Args:
            shape: [..., H, W, C].
            values: what their numbers are.

        Raises:
            ConfigError: the shape does not end in the model's image shape, or the values are not
                the model's.
        """
        check_image_shape(shape[-3:], self.image_shape)
        check_image_values(values, self.image_values)
