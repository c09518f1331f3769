"""What the measurements that leave pixels out share: the fill."""

from __future__ import annotations

import numpy as np
import pydantic

from hvae_core.errors import ConfigError
from hvae_core.interfaces import ImageValues, Measured, Measurement, Shape3, check_measured


class FillOptions(pydantic.BaseModel):
    """The option of a measurement that leaves pixels out."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    fill: float | None = pydantic.Field(
        None,
        description="what unknown pixels hold, in native values; unset: the middle of the range",
    )


class Masking(Measurement):
    """Some pixels as they are; the others hold the fill.

    Args:
        options: give the fill.
        image_shape: [H, W, C].
        values: what the images' numbers are.

    Raises:
        ConfigError: the fill is none of the values that a pixel may have.
    """

    def __init__(self, options: FillOptions, image_shape: Shape3, values: ImageValues) -> None:
        fill = values.center if options.fill is None else options.fill
        if values.is_discrete and not values.low <= fill <= values.high:
            raise ConfigError(
                f"The measurement's fill is {fill:g}; the images' values are {values.low:g} to "
                f"{values.high:g}.",
                "Give one of them, or leave fill out for the middle.",
            )
        self.shape, self.size = image_shape, image_shape[:2]
        self.fill = float(values.rounded(np.array(fill, np.float32)))

    def mask(self, rng: np.random.Generator) -> np.ndarray:
        """Which pixels are measured: bool [H, W]."""
        raise NotImplementedError

    def measure(self, x: np.ndarray, rng: np.random.Generator) -> Measured:
        """See `Measurement.measure`."""
        check_measured(x, rng, self.shape)
        mask = self.mask(rng)
        return Measured(np.where(mask[..., None], x, x.dtype.type(self.fill)), mask)


def known_count(known: int | float, total: int) -> int:
    """How many of ``total`` a number or a fraction is: at least 1, at most all."""
    count = known if isinstance(known, int) else round(known * total)
    return min(max(1, count), total)
