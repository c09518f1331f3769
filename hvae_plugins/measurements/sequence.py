"""Measurements one after the other."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pydantic

from hvae_core.config.component import Component, component_field
from hvae_core.interfaces import ImageValues, Measured, Measurement, Shape3, check_measured
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec

Part = Annotated[
    pydantic.SkipValidation[Component], *component_field("measurement", optional=False)
]


class SequenceOptions(pydantic.BaseModel):
    """Options of the measurement."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    measurements: list[Part] = pydantic.Field(
        min_length=1, description="the measurements, the first of them of the image itself"
    )


class Sequence(Measurement):
    """Each measurement of what the one before it gave.

    A pixel is measured where all of them measured it; what the first left out keeps its fill.

    Args:
        options: the measurements.
        image_shape: [H, W, C].
        values: what the images' numbers are.
    """

    def __init__(self, options: Any, image_shape: Shape3, values: ImageValues) -> None:
        self.shape = image_shape
        self.parts: list[Measurement] = [
            part.build(image_shape, values) for part in options.measurements
        ]
        self.exact = all(part.exact for part in self.parts)
        fills = [part.fill for part in self.parts if part.fill is not None]
        self.fill = fills[0] if fills else None

    def measure(self, x: np.ndarray, rng: np.random.Generator) -> Measured:
        """See `Measurement.measure`."""
        check_measured(x, rng, self.shape)
        y, mask = x, np.ones(self.shape[:2], bool)
        for part in self.parts:
            found, known = part.measure(y, rng)
            y = np.where(mask[..., None], found, y)
            mask = mask & known
        if self.fill is not None:
            y = np.where(mask[..., None], y, x.dtype.type(self.fill))
        return Measured(y, mask)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the measurement."""
    return ComponentSpec(
        kind="measurement",
        name="sequence",
        summary="Several measurements, one after the other",
        builder=Sequence,
        config=SequenceOptions,
        trials=(
            {"measurements": ["noise:0.2", "columns:0.5"]},
            {"measurements": [{"name": "columns", "known": 0.5, "fill": 0}, "mask:0.5"]},
        ),
    )
