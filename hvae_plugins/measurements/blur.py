"""The image out of focus."""

from __future__ import annotations

import numpy as np
import pydantic

from hvae_core.interfaces import ImageValues, Measured, Measurement, Shape3, check_measured
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class BlurOptions(pydantic.BaseModel):
    """Options of the measurement."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    sigma: float = pydantic.Field(
        1.0, gt=0, le=1000, description="standard deviation of the Gaussian, in pixels"
    )


class Blur(Measurement):
    """The image convolved with a Gaussian, its border repeated; measured everywhere.

    Args:
        options: the Gaussian's width.
        image_shape: [H, W, C].
        values: what the images' numbers are.
    """

    exact = False

    def __init__(self, options: BlurOptions, image_shape: Shape3, values: ImageValues) -> None:
        self.shape, self.values = image_shape, values
        self.matrices = [_matrix(side, options.sigma) for side in image_shape[:2]]

    def measure(self, x: np.ndarray, rng: np.random.Generator) -> Measured:
        """See `Measurement.measure`."""
        check_measured(x, rng, self.shape)
        down, across = self.matrices
        blurred = np.einsum("ij,jkc,lk->ilc", down, x.astype(np.float64), across, optimize=True)
        return Measured(self.values.rounded(blurred), np.ones(x.shape[:2], bool))


def _matrix(side: int, sigma: float) -> np.ndarray:
    """The convolution of a line of pixels as a matrix [side, side]; its rows sum to one."""
    reach = int(np.ceil(4 * sigma))
    offsets = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * np.square(offsets / sigma))
    matrix = np.zeros((side, side))
    for row in range(side):
        np.add.at(matrix[row], np.clip(row + offsets, 0, side - 1), kernel / kernel.sum())
    return matrix


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the measurement."""
    return ComponentSpec(
        kind="measurement",
        name="blur",
        summary="Convolution with a Gaussian",
        builder=Blur,
        config=BlurOptions,
        short_option="sigma",
    )
