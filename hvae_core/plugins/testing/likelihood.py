"""The contract of likelihoods."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program, compiled, value_and_grad
from hvae_core.interfaces import UINT8, ImageValues, Likelihood, Shape3
from hvae_core.plugins.testing.sharing import SharingContract
from hvae_core.plugins.version_1 import build_likelihood, known_dtypes

#: images of one pixel that are enumerated at most, and to which drawn images are compared
ENUMERATED, COMPARED = 20_000, 64
DRAWS = 20_000
#: what a likelihood is tried with where its contract does not say; 12 bits, and far from 0 to 1
EXAMPLES = {
    "uint8": UINT8,
    "uint16": ImageValues.of_bits(12),
    "float32": ImageValues("float32", -1000.0, 2000.0, "HU"),
}


class Trial:
    """A likelihood, and its functions from arrays to arrays, compiled once for each shape.

    Args:
        likelihood: the likelihood.
    """

    def __init__(self, likelihood: Likelihood) -> None:
        self.likelihood = likelihood
        self._programs = {
            name: compiled(getattr(likelihood, name), []) for name in ("log_prob", "sample", "mean")
        }

    def _run(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        output = self._programs[name](*(ops.convert_to_tensor(array) for array in arrays))
        return np.asarray(ops.convert_to_numpy(output))

    def log_prob(self, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Log p(x), in nats."""
        return self._run("log_prob", x, parameters)

    def sample(self, parameters: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Images of uniform noise."""
        return self._run("sample", parameters, noise)

    def mean(self, parameters: np.ndarray) -> np.ndarray:
        """The expected images."""
        return self._run("mean", parameters)


class LikelihoodContract(SharingContract):
    """A likelihood gives log p(x) [B] in nats, and draws images that follow it.

    Attributes:
        image_shapes: the [H, W, C] to try.
        values: what the images' numbers are; by default of the first of its spec's ``dtypes``.
        spread: standard deviation of the random parameters.
    """

    kind = "likelihood"
    image_shapes: ClassVar[Sequence[Shape3]] = ((4, 4, 1), (4, 4, 3))
    values: ClassVar[ImageValues | None] = None
    spread: ClassVar[float] = 1.0

    @property
    def image_values(self) -> ImageValues:
        """What the images' numbers are."""
        if self.values is not None:
            return self.values
        return EXAMPLES[known_dtypes(self.component)[0]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes them with every configuration and image shape."""
        super().pytest_generate_tests(metafunc)
        if "image_shape" in metafunc.fixturenames:
            names = ["x".join(map(str, shape)) for shape in self.image_shapes]
            metafunc.parametrize("image_shape", self.image_shapes, ids=names)

    def make(self, config: dict[str, Any], image_shape: Shape3) -> Likelihood:
        """The likelihood."""
        return build_likelihood(
            self.component, self.options(config), image_shape, self.image_values
        )

    def trial(self, config: dict[str, Any], image_shape: Shape3) -> Trial:
        """The likelihood that this class's tests share for ``config`` and ``image_shape``."""
        return self.shared(config, image_shape, lambda: Trial(self.make(config, image_shape)))

    def parameters(self, likelihood: Likelihood, shape: Sequence[int], seed: int = 0) -> np.ndarray:
        """Random parameters ``[*shape, P]``."""
        rng = np.random.default_rng(seed)
        return rng.normal(0, self.spread, (*shape, likelihood.parameters)).astype("f")

    def images(self, config: dict[str, Any], rows: int, image_shape: Shape3) -> np.ndarray:
        """Random images [rows, H, W, C], of integers with values of the likelihood's `support`.

        They are in the type that a graph takes, `ImageValues.tensor_dtype`.
        """
        rng, values = np.random.default_rng(2), self.image_values
        if not values.is_discrete:
            return rng.uniform(values.low, values.high, (rows, *image_shape)).astype("f")
        support = np.array(self.trial(config, image_shape).likelihood.support)
        return values.to_tensor_dtype(rng.choice(support, (rows, *image_shape)))

    def test_log_prob_is_one_number_an_image(
        self, config: dict[str, Any], image_shape: Shape3
    ) -> None:
        """Float32 [B], finite, the same for integers and floats, each row by itself."""
        trial = self.trial(config, image_shape)
        likelihood = trial.likelihood
        assert isinstance(likelihood, Likelihood)
        units = ("bits/dim", "nats") if self.image_values.is_discrete else ("nats",)
        assert likelihood.unit in units
        assert likelihood.values == self.image_values
        assert likelihood.parameters > 0
        x = self.images(config, 3, image_shape)
        parameters = self.parameters(likelihood, (3, *image_shape[:2]))
        whole = trial.log_prob(x, parameters)
        assert whole.shape == (3,)
        assert whole.dtype == np.float32
        assert np.isfinite(whole).all()
        # another program, whose sums a compiler may order in another way
        floats = trial.log_prob(x.astype("f"), parameters)
        np.testing.assert_allclose(floats, whole, rtol=1e-6)
        alone = trial.log_prob(x[1:2], parameters[1:2])
        np.testing.assert_allclose(alone[0], whole[1], rtol=1e-5)

    def test_extreme_parameters_stay_finite(
        self, config: dict[str, Any], image_shape: Shape3
    ) -> None:
        """Values and gradients are finite and some gradient is not zero, also far out."""
        likelihood = self.trial(config, image_shape).likelihood
        x = ops.convert_to_tensor(self.images(config, 2, image_shape))
        values = self.parameters(likelihood, (2, *image_shape[:2]))
        variable = keras.Variable(values, dtype=values.dtype.name)

        def loss() -> Any:
            return ops.sum(likelihood.log_prob(x, ops.convert_to_tensor(variable))), ()

        # Eager, JAX would compile each operation.
        on_jax = keras.config.backend() == "jax"
        program = Program(lambda: value_and_grad(loss, [variable]), [variable], on_jax)
        for factor in (1.0, 30.0):
            program.sync()
            variable.assign(factor * values)
            value, _, gradients = program()
            gradient = np.asarray(ops.convert_to_numpy(gradients[0]))
            assert np.isfinite(float(value))
            assert np.isfinite(gradient).all()
            assert np.abs(gradient).max() > 0

    def test_the_mass_of_all_images_is_one(
        self, config: dict[str, Any], image_shape: Shape3
    ) -> None:
        """All images of one pixel, enumerated where they are few enough."""
        x, probabilities = self._enumerated(config, image_shape, ENUMERATED)
        assert len(x) == len(probabilities)
        assert probabilities.sum() == pytest.approx(1.0, abs=1e-4)

    def test_drawn_images_follow_the_density(
        self, config: dict[str, Any], image_shape: Shape3
    ) -> None:
        """Frequencies of one pixel's values against exp(log_prob), five standard errors wide."""
        x, probabilities = self._enumerated(config, image_shape, COMPARED)
        trial = self.trial(config, (1, 1, image_shape[-1]))
        parameters = np.repeat(self.parameters(trial.likelihood, (1, 1, 1)), DRAWS, axis=0)
        noise = _noise(trial.likelihood, (DRAWS, 1, 1), seed=4)
        drawn = trial.sample(parameters, noise).reshape(DRAWS, -1)
        places = {tuple(values): i for i, values in enumerate(x.reshape(len(x), -1).tolist())}
        counts = np.bincount([places[tuple(row)] for row in drawn.tolist()], minlength=len(x))
        error = np.sqrt(DRAWS * probabilities * (1 - probabilities))
        off = np.abs(counts - DRAWS * probabilities)
        assert (off <= 5 * error + 1).all(), "drawn images do not follow log_prob"

    def test_a_density_is_that_of_the_drawn_images(
        self, config: dict[str, Any], image_shape: Shape3
    ) -> None:
        """One floating-point value: the integral of exp(log_prob) between quantiles of the draws.

        Five standard errors wide; the integral of all of it is one if that of the parts is theirs.
        """
        trial = self.trial(config, (1, 1, 1))
        is_density = trial.likelihood.proper and not self.image_values.is_discrete
        if not is_density or image_shape[-1] > 1:
            pytest.skip("it is no density of a single value")
        parameters = self.parameters(trial.likelihood, (1, 1, 1))
        noise = _noise(trial.likelihood, (DRAWS, 1, 1), seed=4)
        drawn = trial.sample(np.repeat(parameters, DRAWS, axis=0), noise)
        ends = np.quantile(drawn.astype(np.float64), (0.005, 0.25, 0.5, 0.75, 0.995))
        for low, high, share in zip(ends, ends[1:], (0.245, 0.25, 0.25, 0.245), strict=False):
            grid = np.linspace(low, high, DRAWS, dtype=np.float64)
            x = grid.astype("f").reshape(-1, 1, 1, 1)
            density = np.exp(trial.log_prob(x, np.repeat(parameters, DRAWS, axis=0)))
            mass = np.trapezoid(density.astype(np.float64), grid)
            # Both ends are quantiles of the draws, with an error each.
            error = np.sqrt(2 * share * (1 - share) / DRAWS)
            assert mass == pytest.approx(share, abs=5 * error), "they do not follow log_prob"

    def test_samples_are_images_and_follow_the_noise(
        self, config: dict[str, Any], image_shape: Shape3
    ) -> None:
        """Images [B, H, W, C] with values of `support`; equal noise gives equal images."""
        trial = self.trial(config, image_shape)
        likelihood, sample = trial.likelihood, trial.sample
        parameters = self.parameters(likelihood, (3, *image_shape[:2]))
        noise = _noise(likelihood, (3, *image_shape[:2]), seed=0)
        images = sample(parameters, noise)
        assert images.dtype == self.image_values.tensor_dtype
        assert images.shape == (3, *image_shape)
        check_support(likelihood, images)
        # Compiled anew, so that it would be found if it drew numbers of its own.
        again = Trial(likelihood).sample(parameters, noise)
        np.testing.assert_array_equal(again, images)
        other = _noise(likelihood, (3, *image_shape[:2]), seed=1)
        assert (sample(parameters, other) != images).any()
        edges = np.where(np.arange(noise.size).reshape(noise.shape) % 2, 0.0, 1.0).astype("f")
        check_support(likelihood, sample(parameters, edges))

    def test_the_mean_is_an_image(self, config: dict[str, Any], image_shape: Shape3) -> None:
        """Float32 [B, H, W, C], of integers with values of their range."""
        trial = self.trial(config, image_shape)
        mean = trial.mean(self.parameters(trial.likelihood, (3, *image_shape[:2])))
        assert mean.shape == (3, *image_shape)
        assert mean.dtype == np.float32
        if self.image_values.is_discrete:
            assert mean.min() >= 0
            assert mean.max() <= self.image_values.high

    def test_compiled_equals_eager(self, config: dict[str, Any], image_shape: Shape3) -> None:
        """The compiled log_prob computes the same."""
        trial = self.trial(config, image_shape)
        x = self.images(config, 3, image_shape)
        parameters = self.parameters(trial.likelihood, (3, *image_shape[:2]))
        eager = trial.likelihood.log_prob(*map(ops.convert_to_tensor, (x, parameters)))
        got = trial.log_prob(x, parameters)
        np.testing.assert_allclose(got, ops.convert_to_numpy(eager), rtol=1e-5)

    def _enumerated(
        self, config: dict[str, Any], image_shape: Shape3, limit: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Every image of one pixel and its probability; the test is skipped if there are more."""
        channels = image_shape[-1]
        trial = self.trial(config, (1, 1, channels))
        if not trial.likelihood.proper or not self.image_values.is_discrete:
            pytest.skip("it says that it gives no probability of x")
        values = trial.likelihood.support
        if len(values) ** channels > limit:
            pytest.skip(f"there are {len(values) ** channels} images of one pixel")
        every = self.image_values.to_tensor_dtype(list(itertools.product(values, repeat=channels)))
        x = every.reshape(-1, 1, 1, channels)
        parameters = np.repeat(self.parameters(trial.likelihood, (1, 1, 1)), len(x), axis=0)
        return x, np.exp(trial.log_prob(x, parameters).astype(np.float64))


def check_support(likelihood: Likelihood, images: np.ndarray) -> None:
    """Whether drawn images have values that the likelihood's can have."""
    if likelihood.values.is_discrete:
        assert set(np.unique(images)) <= set(likelihood.support)
    assert np.isfinite(images).all()


def _noise(likelihood: Likelihood, shape: Sequence[int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random((*shape, likelihood.noise_channels()), dtype=np.float32)
