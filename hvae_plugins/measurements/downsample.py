"""The image at a coarser resolution."""

from __future__ import annotations

import numpy as np
import pydantic

from hvae_core.errors import ConfigError
from hvae_core.interfaces import ImageValues, Measured, Measurement, Shape3, check_measured
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class DownsampleOptions(pydantic.BaseModel):
    """Options of the measurement."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    factor: int = pydantic.Field(2, ge=2, description="side of the squares that are averaged")


class Downsample(Measurement):
    """Squares of pixels, each with its mean: shown at the image's size, measured everywhere.

    Args:
        options: the squares' side.
        image_shape: [H, W, C].
        values: what the images' numbers are.

    Raises:
        ConfigError: the squares do not fill the image.
    """

    exact = False

    def __init__(
        self, options: DownsampleOptions, image_shape: Shape3, values: ImageValues
    ) -> None:
        self.factor, self.shape, self.values = options.factor, image_shape, values
        if any(side % self.factor for side in image_shape[:2]):
            raise ConfigError(
                f"The measurement's factor is {self.factor}, which does not divide images of "
                f"{image_shape[0]}x{image_shape[1]} pixels.",
                "Give a factor of both sides.",
            )

    def measure(self, x: np.ndarray, rng: np.random.Generator) -> Measured:
        """See `Measurement.measure`."""
        check_measured(x, rng, self.shape)
        height, width, channels = x.shape
        factor = self.factor
        squares = x.reshape(height // factor, factor, width // factor, factor, channels)
        means = self.values.rounded(squares.mean(axis=(1, 3), dtype=np.float64))
        return Measured(
            means.repeat(factor, axis=0).repeat(factor, axis=1), np.ones((height, width), bool)
        )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the measurement."""
    return ComponentSpec(
        kind="measurement",
        name="downsample",
        summary="The means of squares of pixels",
        builder=Downsample,
        config=DownsampleOptions,
        short_option="factor",
    )
