"""The contract of measurements."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from hvae_core.interfaces import UINT8, ImageValues, Measured, Measurement
from hvae_core.plugins.testing.component import ComponentContract

VALUES = (UINT8, ImageValues.of_bits(12), ImageValues("float32", -1.0, 3.0))


class MeasurementContract(ComponentContract):
    """A measurement shows a part of an image, and nothing of the rest.

    Attributes:
        image_shape: [H, W, C] of the images it is tried on.
    """

    kind = "measurement"
    needs_keras = False
    image_shape: ClassVar[tuple[int, int, int]] = (8, 6, 2)

    def make(self, config: dict[str, Any], values: ImageValues = UINT8) -> Measurement:
        """The measurement of images of ``image_shape``."""
        made: Measurement = self.component.build(self.options(config), self.image_shape, values)
        return made

    def image(self, values: ImageValues = UINT8, seed: int = 0) -> np.ndarray:
        """An image of noise."""
        rng = np.random.default_rng(seed)
        return values.rounded(rng.uniform(values.low, values.high, self.image_shape))

    @pytest.mark.parametrize("values", VALUES, ids=str)
    def test_it_gives_an_image_and_a_mask(
        self, config: dict[str, Any], values: ImageValues
    ) -> None:
        """The same shape, native values; a mask [H, W] of booleans; the image is not changed."""
        measurement, x = self.make(config, values), self.image(values)
        assert isinstance(measurement, Measurement)
        kept = x.copy()
        for seed in range(4):
            measured = measurement.measure(x, np.random.default_rng(seed))
            y, mask = Measured(*measured)
            assert y.shape == self.image_shape
            assert y.dtype == x.dtype, f"y is {y.dtype} of an image of {x.dtype}"
            assert values.exact(y) is not None, f"the values of y are not those of {values}"
            assert mask.dtype == bool, f"the mask is {mask.dtype}"
            assert mask.shape == self.image_shape[:2]
            assert mask.any(), "nothing is measured"
        np.testing.assert_array_equal(x, kept)

    def test_it_follows_the_generator(self, config: dict[str, Any]) -> None:
        """The same generator gives the same measurement, whatever was measured before."""
        x, measurement = self.image(), self.make(config)
        first = measurement.measure(x, np.random.default_rng(3))
        measurement.measure(x, np.random.default_rng(4))
        for again in (measurement, self.make(config)):
            y, mask = again.measure(x, np.random.default_rng(3))
            np.testing.assert_array_equal(y, first[0])
            np.testing.assert_array_equal(mask, first[1])

    def test_unknown_pixels_hold_the_fill(self, config: dict[str, Any]) -> None:
        """And measured ones are the image's, where it says that it is exact."""
        x, measurement = self.image(), self.make(config)
        for seed in range(4):
            y, mask = measurement.measure(x, np.random.default_rng(seed))
            if measurement.exact:
                np.testing.assert_array_equal(y[mask], x[mask])
            assert mask.all() or measurement.fill is not None
            assert (y[~mask] == measurement.fill).all()

    def test_unknown_pixels_are_not_looked_at(self, config: dict[str, Any]) -> None:
        """Other values there: the same measurement. And other images: the same mask."""
        x, other, measurement = self.image(), self.image(seed=1), self.make(config)
        for seed in range(4):
            y, mask = measurement.measure(x, np.random.default_rng(seed))
            np.testing.assert_array_equal(
                measurement.measure(other, np.random.default_rng(seed))[1], mask
            )
            if measurement.exact:
                changed = np.where(mask[..., None], x, other)
                again = measurement.measure(changed, np.random.default_rng(seed))[0]
                np.testing.assert_array_equal(again, y)
