"""A noise model as a plugin: p(noisy image | clean image), the decoder giving the clean one.

Trained on noisy images alone, the model learns what the noise cannot explain (Prakash et al. 2021,
DivNoising): the mean of the likelihood is the clean image.
"""

from __future__ import annotations

import math

import pydantic

from hvae_core.interfaces import UINT8, ImageValues, Likelihood, Shape3, Tensor
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class NoiseModelConfig(pydantic.BaseModel):
    """Options of the noise model; all numbers are in the images' unit."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    gain: pydantic.NonNegativeFloat | None = pydantic.Field(
        None,
        description="by how much the variance grows with the signal, as by that of photons; "
        "learned if unset",
    )
    offset: pydantic.PositiveFloat | None = pydantic.Field(
        None, description="variance where the signal is 0, as that of reading out; learned if unset"
    )
    black_level: float = pydantic.Field(0.0, description="value at which the signal is 0")
    least_deviation: pydantic.PositiveFloat = pydantic.Field(
        1e-3, description="smallest standard deviation, in halves of the values' range"
    )


class NoiseModel(Likelihood):
    """Poisson-Gaussian noise as a Gaussian with ``variance = gain signal + offset``.

    Gain and offset are the camera's: given, or learned, one each for an image, as a mean over it of
    what is read out. Of integers it is the probability of each one, the first and the last having
    all that lies beyond them; of floating-point numbers a density.

    Args:
        config: the options.
        image_shape: [H, W, C].
        values: the images' numbers.
    """

    denoises = True

    def __init__(
        self, config: NoiseModelConfig, image_shape: Shape3, values: ImageValues = UINT8
    ) -> None:
        self.config, self.values = config, values
        self.channels = image_shape[-1]
        self.learned = [name for name in ("gain", "offset") if getattr(config, name) is None]
        self.parameters = self.channels + len(self.learned)
        self.unit = "bits/dim" if values.is_discrete else "nats"
        self.levels = values.levels or 256

    def _clean_and_deviation(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The clean image and the noise's standard deviation, [B, H, W, C] in native values."""
        from keras import ops

        half = self.values.half_range
        parameters = ops.cast(parameters, "float32")
        clean = parameters[..., : self.channels] * half + self.values.center
        raw = ops.mean(parameters[..., self.channels :], axis=(1, 2), keepdims=True)
        numbers = {"gain": self.config.gain, "offset": self.config.offset}
        # So that 0 gives noise of a tenth of the half range, from signal and from reading out.
        start = {"gain": 0.01 * half, "offset": (0.1 * half) ** 2}
        for index, name in enumerate(self.learned):
            positive = ops.softplus(raw[..., index : index + 1]) * (1.0 / math.log(2.0))
            numbers[name] = start[name] * positive
        signal = ops.maximum(clean - self.config.black_level, 0.0)
        least = (self.config.least_deviation * half) ** 2
        variance = ops.maximum(numbers["gain"] * signal + numbers["offset"], least)
        return clean, ops.sqrt(variance)

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """See `Likelihood.log_prob`."""
        from keras import ops

        from hvae_core.prob import normal
        from hvae_core.prob.gaussian import sum_event
        from hvae_core.prob.location_scale import gaussian_log_density

        clean, deviation = self._clean_and_deviation(parameters)
        x = ops.cast(x, "float32")
        z = (x - clean) / deviation
        if not self.values.is_discrete:
            return sum_event(gaussian_log_density(z) - ops.log(deviation))
        half = 0.5 / deviation
        log_p = ops.where(
            x < 0.5,
            normal.log_cdf(z + half),
            ops.where(
                x > self.values.high - 0.5,
                normal.log_cdf(half - z),
                normal.log_interval(z, half),
            ),
        )
        return sum_event(log_p)

    def noise_channels(self) -> int:
        """See `Likelihood.noise_channels`."""
        return self.channels

    def sample(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """See `Likelihood.sample`: a noisy image."""
        from keras import ops

        from hvae_core.prob import normal

        clean, deviation = self._clean_and_deviation(parameters)
        noisy = clean + temperature * deviation * normal.quantile(noise)
        if not self.values.is_discrete:
            return noisy
        rounded = ops.round(ops.clip(noisy, 0.0, self.values.high))
        return ops.cast(rounded, self.values.tensor_dtype)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.mean`: the clean image, that of integers cut off at their range."""
        from keras import ops

        clean = self._clean_and_deviation(parameters)[0]
        return ops.clip(clean, 0.0, self.values.high) if self.values.is_discrete else clean


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the likelihood."""
    return ComponentSpec(
        kind="likelihood",
        name="noise-model",
        summary="Poisson-Gaussian noise on a clean image, of any values",
        builder=NoiseModel,
        config=NoiseModelConfig,
        dtypes=("uint8", "uint16", "float32"),
        references=(
            "Prakash et al. 2021, Fully Unsupervised Diversity Denoising, arXiv 2006.06072",
        ),
    )
