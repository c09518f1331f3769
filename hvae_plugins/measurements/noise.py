"""The image with the noise of a detector."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pydantic

from hvae_core.interfaces import ImageValues, Measured, Measurement, Shape3, check_measured
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class NoiseOptions(pydantic.BaseModel):
    """Options of the measurement."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    std: float = pydantic.Field(
        0.1,
        ge=0,
        le=1e6,
        description="of Gaussian noise: its standard deviation, in ranges of the values",
    )
    distribution: Literal["gaussian", "poisson"] = pydantic.Field(
        "gaussian", description="of the noise"
    )
    peak: float = pydantic.Field(
        30.0, gt=0, le=1e9, description="of Poisson noise: the count expected of a white pixel"
    )


class NoiseMeasurement(Measurement):
    """Each value with noise of its own, integers rounded and cut off at the range.

    Args:
        options: which noise.
        image_shape: [H, W, C].
        values: what the images' numbers are.
    """

    exact = False

    def __init__(self, options: NoiseOptions, image_shape: Shape3, values: ImageValues) -> None:
        self.options, self.shape, self.values = options, image_shape, values

    def measure(self, x: np.ndarray, rng: np.random.Generator) -> Measured:
        """See `Measurement.measure`."""
        check_measured(x, rng, self.shape)
        low, extent = self.values.low, self.values.high - self.values.low
        parts = (x.astype(np.float64) - low) / extent
        if self.options.distribution == "poisson":
            parts = rng.poisson(np.maximum(parts, 0) * self.options.peak) / self.options.peak
        else:
            parts = parts + self.options.std * rng.standard_normal(x.shape)
        return Measured(self.values.rounded(low + parts * extent), np.ones(x.shape[:2], bool))


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the measurement."""
    return ComponentSpec(
        kind="measurement",
        name="noise",
        summary="Gaussian or Poisson noise",
        builder=NoiseMeasurement,
        config=NoiseOptions,
        short_option="std",
        trials=({}, {"distribution": "poisson"}),
    )
