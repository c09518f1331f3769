"""What likelihoods of a location and a scale have in common: the options of the scale, the readout.

Inside, values are measured from the middle of their range in halves of its length, as the model's
input is: -1 and 1 are the ends.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, Self

import pydantic

from hvae_core.interfaces import UINT8, ImageValues, Likelihood, Shape3, Tensor


class ScaleOptions(pydantic.BaseModel):
    """Where the scale comes from."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    scale: Literal["fixed", "one", "channel", "pixel"] = pydantic.Field(
        "pixel",
        description="fixed: `fixed_scale`; or read out: one an image, one for each channel of an "
        "image, or one for each value",
    )
    fixed_scale: pydantic.PositiveFloat | None = pydantic.Field(
        None, description="the scale in the images' unit, with scale: fixed"
    )
    gradient_smoothing: bool = pydantic.Field(
        True,
        description="the scale is a softplus of what is read out, not its exponential (Hazami et "
        "al. 2022)",
    )
    log_scale_floor: float | None = pydantic.Field(
        None,
        description="smallest log scale, in halves of the values' range; -7 if unset, or less "
        "where levels are finer than 8 bits",
    )

    @pydantic.model_validator(mode="after")
    def _fixed_has_a_value(self) -> Self:
        if (self.scale == "fixed") != (self.fixed_scale is not None):
            raise ValueError(
                "scale: fixed and fixed_scale belong together; give both, as in scale: fixed, "
                "fixed_scale: 0.1, or neither"
            )
        return self


class Readout(NamedTuple):
    """``location`` and ``log_scale``, both [B, H, W, C], in halves of the values' range."""

    location: Tensor
    log_scale: Tensor


class LocationScale(Likelihood):
    """Independent values with a location and a scale each; a subclass says which density.

    Args:
        config: the options.
        image_shape: [H, W, C].
        values: the images' numbers.
    """

    #: uniform numbers wanted for a value
    draws = 1

    def __init__(
        self, config: ScaleOptions, image_shape: Shape3, values: ImageValues = UINT8
    ) -> None:
        self.config, self.values = config, values
        self.channels = image_shape[-1]
        scales = {"fixed": 0, "one": 1, "channel": self.channels, "pixel": self.channels}
        self.parameters = self.channels + scales[config.scale]
        self.unit = "bits/dim" if values.is_discrete else "nats"
        floor = config.log_scale_floor
        self.floor = self.default_floor if floor is None else floor

    @property
    def default_floor(self) -> float:
        """Of the log scale."""
        return -7.0

    def density(self, z: Tensor) -> Tensor:
        """The log-density of standardised values, in nats."""
        raise NotImplementedError

    def standard_draw(self, uniform: Tensor) -> Tensor:
        """Standardised values [..., C] from ``draws`` C uniform numbers."""
        raise NotImplementedError

    def read(self, parameters: Tensor) -> Readout:
        """Locations and scales from the readout."""
        from keras import ops

        from hvae_core.prob.gaussian import log_softplus

        parameters = ops.cast(parameters, "float32")
        location, raw = parameters[..., : self.channels], parameters[..., self.channels :]
        if self.config.fixed_scale is not None:
            fixed = math.log(self.config.fixed_scale / self.values.half_range)
            return Readout(location, ops.zeros_like(location) + fixed)
        if self.config.scale != "pixel":
            raw = ops.mean(raw, axis=(1, 2), keepdims=True)
        if self.config.gradient_smoothing:
            # Of base 2, so that 0 gives the scale 1.
            raw = log_softplus(math.log(2.0) * raw) - math.log(math.log(2.0))
        raw = ops.maximum(raw, self.floor)
        return Readout(location, raw + ops.zeros_like(location))

    def standardised(self, x: Tensor) -> Tensor:
        """Native values in halves of the range."""
        from keras import ops

        values = self.values
        return (ops.cast(x, "float32") - values.center) * (1.0 / values.half_range)

    def native(self, x: Tensor) -> Tensor:
        """What is in halves of the range, in native values."""
        return x * self.values.half_range + self.values.center

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """See `Likelihood.log_prob`."""
        from keras import ops

        from hvae_core.prob.gaussian import sum_event

        location, log_scale = self.read(parameters)
        z = (self.standardised(x) - location) * ops.exp(-log_scale)
        per_unit = math.log(self.values.half_range)
        return sum_event(self.density(z) - log_scale - per_unit)

    def noise_channels(self) -> int:
        """See `Likelihood.noise_channels`."""
        return self.draws * self.channels

    def sample(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """See `Likelihood.sample`."""
        from keras import ops

        location, log_scale = self.read(parameters)
        drawn = location + temperature * ops.exp(log_scale) * self.standard_draw(noise)
        return self.native(drawn)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.mean`: the location."""
        return self.native(self.read(parameters).location)
