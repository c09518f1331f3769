"""What a likelihood promises."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from keras import ops

from hvae_core.interfaces import Likelihood, Shape3
from hvae_core.plugins.testing import numerics
from hvae_core.plugins.testing.base import ComponentContract

BATCH = 3
#: images that are enumerated at most
ENUMERATED = 5000
DRAWS = 4000


class LikelihoodContract(ComponentContract):
    """Tests of `hvae_core.interfaces.Likelihood`.

    Attributes:
        image_shapes: [H, W, C] of the images to test with.
        normalisation_tolerance: of the sum of all values' probabilities.
    """

    kind = "likelihood"
    axes = {**ComponentContract.axes, "image_shape": "image_shapes"}
    image_shapes: ClassVar[Sequence[Shape3]] = ((4, 4, 1), (4, 4, 3))
    normalisation_tolerance: ClassVar[float] = 1e-3
    tolerance: ClassVar[float] = 1e-5

    def pixel_values(self, options: Any) -> Sequence[int] | None:
        """The values, 0 to 255, that the likelihood tells apart; None if it is no density."""
        return range(256)

    def build(self, options: Any, image_shape: Shape3) -> Likelihood:
        """The likelihood."""
        return self.component.build(options, image_shape)

    def parameters(self, likelihood: Likelihood, image_shape: Shape3, batch: int = BATCH) -> Any:
        """Parameters as a readout may give them, float32 [B, H, W, P]."""
        return numerics.normal((batch, *image_shape[:2], likelihood.parameters), seed=5)

    def images(self, options: Any, shape: Sequence[int]) -> np.ndarray:
        """Black, white and random pixels, uint8."""
        values = np.array(self.pixel_values(options) or range(256), np.uint8)
        images = np.random.default_rng(6).choice(values, shape)
        images[0], images[1] = values.min(), values.max()
        return images

    def log_prob(self, likelihood: Likelihood, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Log p(x) [B] as NumPy."""
        x, parameters = ops.convert_to_tensor(x), ops.convert_to_tensor(parameters)
        return numerics.to_numpy(likelihood.log_prob(x, parameters))

    def test_shapes_and_dtypes(self, options: Any, image_shape: Shape3) -> None:
        """[B] float32 in nats, finite for black and white images, for any dtype of x."""
        likelihood = self.build(options, image_shape)
        assert isinstance(likelihood, Likelihood)
        assert isinstance(likelihood.parameters, int)
        assert likelihood.parameters > 0
        assert likelihood.unit in ("bits/dim", "nats")
        parameters = self.parameters(likelihood, image_shape)
        x = self.images(options, (BATCH, *image_shape))
        values = self.log_prob(likelihood, x, parameters)
        assert values.shape == (BATCH,)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        for dtype in (np.int32, np.float32):
            np.testing.assert_array_equal(
                self.log_prob(likelihood, x.astype(dtype), parameters), values
            )

    def test_rows_are_independent(self, options: Any, image_shape: Shape3) -> None:
        """A batch of any size, no row of which touches another."""
        likelihood = self.build(options, image_shape)
        parameters = self.parameters(likelihood, image_shape)
        x = self.images(options, (BATCH, *image_shape))
        values = self.log_prob(likelihood, x, parameters)
        for row in range(BATCH):
            alone = self.log_prob(likelihood, x[row : row + 1], parameters[row : row + 1])
            np.testing.assert_allclose(alone, values[row : row + 1], rtol=self.tolerance)

    def test_probabilities_sum_to_one(self, options: Any, image_shape: Shape3) -> None:
        """Over all values of one pixel, where they can be enumerated."""
        values, channels = self.pixel_values(options), image_shape[-1]
        if values is None:
            pytest.skip("with these options it is no density")
        if len(values) ** channels > ENUMERATED:
            pytest.skip("too many values to enumerate; add a configuration with few levels")
        shape = (1, 1, channels)
        likelihood = self.build(options, shape)
        pixels = np.array(list(itertools.product(values, repeat=channels)), np.uint8)
        for parameters in self.parameters(likelihood, shape):
            repeated = np.repeat(parameters[None], len(pixels), axis=0)
            log_prob = self.log_prob(likelihood, pixels[:, None, None, :], repeated)
            total = np.exp(log_prob.astype(np.float64)).sum()
            np.testing.assert_allclose(total, 1.0, atol=self.normalisation_tolerance)

    def test_samples_are_images_and_follow_from_their_noise(
        self, options: Any, image_shape: Shape3
    ) -> None:
        """uint8 in the values that the likelihood knows; the same noise, the same image."""
        likelihood = self.build(options, image_shape)
        parameters = ops.convert_to_tensor(self.parameters(likelihood, image_shape))
        for temperature in (1.0, 0.7):
            noise = self.noise(likelihood, (BATCH, *image_shape[:2]))
            first, second = (
                numerics.to_numpy(
                    likelihood.sample(parameters, ops.convert_to_tensor(noise), temperature)
                )
                for _ in range(2)
            )
            assert first.dtype == np.uint8
            assert first.shape == (BATCH, *image_shape)
            np.testing.assert_array_equal(first, second)
            values = self.pixel_values(options)
            if values is not None:
                assert set(first.ravel().tolist()) <= set(values)

    def noise(self, likelihood: Likelihood, shape: Sequence[int]) -> np.ndarray:
        """Uniform noise for `Likelihood.sample`."""
        size = (*shape, likelihood.noise_channels())
        return np.random.default_rng(8).random(size, dtype=np.float32)

    def test_samples_follow_the_density(self, options: Any, image_shape: Shape3) -> None:
        """The mean of many draws of one pixel is the density's, within five standard errors."""
        values = self.pixel_values(options)
        if values is None or image_shape[-1] != 1:
            pytest.skip("needs a density of one channel")
        likelihood = self.build(options, (1, 1, 1))
        one = self.parameters(likelihood, (1, 1, 1), batch=1)
        pixels = np.array(values, np.uint8).reshape(-1, 1, 1, 1)
        log_prob = self.log_prob(likelihood, pixels, np.repeat(one, len(pixels), axis=0))
        probability = np.exp(log_prob.astype(np.float64))
        points = pixels.ravel().astype(np.float64)
        mean = (probability * points).sum()
        deviation = np.sqrt((probability * (points - mean) ** 2).sum())
        noise = ops.convert_to_tensor(self.noise(likelihood, (DRAWS, 1, 1)))
        parameters = ops.convert_to_tensor(np.repeat(one, DRAWS, axis=0))
        drawn = numerics.to_numpy(likelihood.sample(parameters, noise)).astype(np.float64)
        assert abs(drawn.mean() - mean) <= 5 * deviation / np.sqrt(DRAWS) + 0.5

    def test_the_mean_is_an_image(self, options: Any, image_shape: Shape3) -> None:
        """float32 between 0 and 255."""
        likelihood = self.build(options, image_shape)
        parameters = ops.convert_to_tensor(self.parameters(likelihood, image_shape))
        mean = numerics.to_numpy(likelihood.mean(parameters))
        assert mean.dtype == np.float32
        assert mean.shape == (BATCH, *image_shape)
        assert mean.min() >= 0
        assert mean.max() <= 255

    def test_the_gradient_is_finite_everywhere(self, options: Any, image_shape: Shape3) -> None:
        """And not zero, for small and for large parameters."""
        likelihood = self.build(options, image_shape)
        x = ops.convert_to_tensor(self.images(options, (BATCH, *image_shape)))
        for scale in (1.0, 30.0):
            parameters = scale * self.parameters(likelihood, image_shape)
            (gradient,) = numerics.gradients(
                lambda p: ops.sum(likelihood.log_prob(x, p)), [], [parameters]
            )
            assert np.isfinite(gradient).all(), f"parameters of scale {scale}"
            assert np.any(gradient != 0.0)

    def test_compiled_equals_eager(self, options: Any, image_shape: Shape3) -> None:
        """On JAX and TensorFlow; with an unknown batch size on the latter."""
        likelihood = self.build(options, image_shape)
        parameters = self.parameters(likelihood, image_shape)
        x = self.images(options, (BATCH, *image_shape))
        program = numerics.compiled(likelihood.log_prob, [], [x, parameters])
        found = numerics.to_numpy(
            program(ops.convert_to_tensor(x), ops.convert_to_tensor(parameters))
        )
        np.testing.assert_allclose(
            found, self.log_prob(likelihood, x, parameters), rtol=self.tolerance
        )
