"""The contract of top priors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.interfaces import ConditionalPrior, Prior, Shape3, Tensor
from hvae_core.layers import dtype_policy
from hvae_core.plugins.testing.layer import LayerContract
from hvae_core.prob.elbo import log_ratio

#: draws whose mean is compared with what it is of, within five standard errors
DRAWS = 400


class PriorCase(NamedTuple):
    """What a prior is tried with.

    ``image_shape`` is [H, W, C]; ``embedding_width`` that of a condition's embedding, 0 without.
    """

    image_shape: Shape3
    embedding_width: int


class PriorContract(LayerContract):
    """A top prior has variables of the shape that its spec says, and one law for all uses.

    One that supports an embedding is tried with and without.

    Attributes:
        image_shapes: the [H, W, C] to try; small.
    """

    kind = "prior"
    image_shapes: ClassVar[Sequence[Shape3]] = ((4, 4, 1), (2, 4, 3))

    def cases(self) -> Sequence[PriorCase]:
        """Each image shape, without an embedding and with one if the spec says so."""
        widths = (0, 2) if "embedding" in self.component.supports else (0,)
        return [PriorCase(shape, width) for shape in self.image_shapes for width in widths]

    def latent_shape(self, config: dict[str, Any], case: PriorCase) -> Shape3:
        """What its spec says of its variables."""
        describe = self.component.latent_shape
        assert describe is not None, "the spec has no latent_shape"
        return describe(self.options(config), case.image_shape)

    def make(self, config: dict[str, Any], case: PriorCase) -> Any:
        """A prior, built as the network builds it."""
        prior = self.component.build(
            self.options(config),
            case.image_shape,
            name="prior",
            embedding_width=case.embedding_width,
        )
        prior.build((None, *case.image_shape))
        return prior

    def images(self, case: PriorCase, count: int) -> np.ndarray:
        """Images from 0 to 1."""
        return np.random.default_rng(3).uniform(size=(count, *case.image_shape)).astype("f")

    def embeddings(self, case: PriorCase, count: int) -> list[np.ndarray]:
        """The methods' further arguments: embeddings, or nothing."""
        width = case.embedding_width
        drawn = np.random.default_rng(6).normal(size=(count, width)).astype("f")
        return [drawn] if width else []

    def inputs(self, config: dict[str, Any], case: PriorCase) -> list[np.ndarray]:
        """Three images, noise, and embeddings where there are any."""
        noise = np.random.default_rng(4).normal(size=(self.rows, *self.latent_shape(config, case)))
        further = self.embeddings(case, self.rows)
        return [self.images(case, self.rows), noise.astype("f"), *further]

    def apply(self, layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Variables, KL and context of the posterior, and what the prior draws with that noise."""
        image, noise, *told = inputs
        out = layer.infer(layer.observe(image), noise, *told)
        drawn = layer.generate(noise, 1.0, *told)
        return out.z, out.kl, layer.context(out.z), drawn

    def test_it_is_a_prior_of_the_shapes_it_says(self, config: dict[str, Any], case: Any) -> None:
        """A `Prior` and a Keras layer; its variables and their context as the spec says."""
        trial = self.trial(config, case)
        prior, (z, kl, context, drawn) = trial.layer, trial.outputs
        assert isinstance(prior, Prior)
        assert isinstance(prior, keras.layers.Layer)
        assert prior.name == "prior", "it must keep the name it is given"
        assert z.shape == drawn.shape == (self.rows, *self.latent_shape(config, case))
        assert kl.shape == (self.rows,)
        channels = self.component.context_channels
        assert channels is not None, "the spec has no context_channels"
        shape = case.image_shape
        assert context.shape == (self.rows, *shape[:2], channels(self.options(config), shape))
        reads = "embedding" in self.component.supports
        assert isinstance(prior, ConditionalPrior) == reads, (
            "the spec of a ConditionalPrior supports 'embedding', and no other prior's does"
        )
        assert getattr(prior, "embedding_width", 0) == case.embedding_width
        observed = prior.observe(ops.convert_to_tensor(self.images(case, 2)))
        assert tuple(observed.shape) == (2, *prior.observed_shape)
        assert all(np.isfinite(output).all() for output in trial.outputs)

    def test_the_prior_draws_what_its_density_is_of(
        self, config: dict[str, Any], case: Any
    ) -> None:
        """The noise that leads to given variables leads to them."""
        trial = self.trial(config, case)

        def again(layer: Any, image: Tensor, noise: Tensor, *told: Tensor) -> tuple[Tensor, Tensor]:
            out = layer.infer(layer.observe(image), noise, *told)
            own = (out.z - out.prior.mean) * ops.exp(-out.prior.log_std)
            return out.z, layer.generate(own, 1.0, *told)

        z, drawn = trial.run(trial.inputs, again)
        np.testing.assert_allclose(drawn, z, atol=1e-4, rtol=1e-4)

    def test_the_kl_is_that_of_the_densities(self, config: dict[str, Any], case: Any) -> None:
        """Over many draws, the mean of ``kl + log p(u) - log q(u | x)`` is 0."""
        shape = self.latent_shape(config, case)
        rng = np.random.default_rng(5)
        # As many draws of one image in a batch, whose size is new to the program.
        image = np.repeat(self.images(case, 1), DRAWS, axis=0)
        noise = rng.normal(size=(DRAWS, *shape)).astype("f")

        told = [np.repeat(array, DRAWS, axis=0) for array in self.embeddings(case, 1)]

        def gap(layer: Any, image: Tensor, noise: Tensor, *told: Tensor) -> tuple[Tensor]:
            out = layer.infer(layer.observe(image), noise, *told)
            return (out.kl + log_ratio(out),)

        (found,) = self.trial(config, case).run([image, noise, *told], gap)
        error = found.std() / math.sqrt(DRAWS)
        assert abs(found.mean()) < 5.0 * error + 1e-3, (
            f"kl + log p(u) - log q(u | x) is {found.mean():.4g} ± {error:.2g} in the mean"
        )

    def test_the_posterior_along_its_own_draw_is_itself(
        self, config: dict[str, Any], case: Any
    ) -> None:
        """`posterior_along` at the variables of a pass gives the pass's posterior."""

        def both(layer: Any, image: Tensor, noise: Tensor, *told: Tensor) -> tuple[Tensor, ...]:
            observed = layer.observe(image)
            out = layer.infer(observed, noise, *told)
            return *out.posterior, *layer.posterior_along(observed, out.z, *told).parameters

        trial = self.trial(config, case)
        mean, log_std, mean_along, log_std_along = trial.run(trial.inputs, both)
        np.testing.assert_allclose(mean_along, mean, atol=1e-5)
        np.testing.assert_allclose(log_std_along, log_std, atol=1e-5)

    def test_guidance_moves_the_prior_from_one_condition_to_another(
        self, config: dict[str, Any], case: PriorCase
    ) -> None:
        """By 1 it is that of the first half, by more another; both halves get the same."""
        if not case.embedding_width:
            pytest.skip("it has no embedding")
        trial = self.trial(config, case)
        _, noise, embedding = trial.inputs

        def drawn(layer: Any, noise: Tensor, one: Tensor, null: Tensor) -> tuple[Tensor, ...]:
            rows = ops.concatenate([noise, noise], axis=0)
            told = ops.concatenate([one, null], axis=0)
            guided = [
                layer.generate(rows, 1.0, told, ops.convert_to_tensor(guidance, "float32"))
                for guidance in (1.0, 3.0)
            ]
            return layer.generate(noise, 1.0, one), *guided

        plain, by_one, by_three = trial.run([noise, embedding, -embedding], drawn)
        np.testing.assert_allclose(by_one[: self.rows], plain, atol=1e-5)
        for both in (by_one, by_three):
            np.testing.assert_allclose(both[: self.rows], both[self.rows :], atol=1e-5)
        gap = np.abs(by_three[: self.rows] - plain).max()
        assert gap > 1e-3, "the embedding does not reach the prior"

    def test_statistics_of_images_are_kept_as_weights(
        self, config: dict[str, Any], case: Any
    ) -> None:
        """`Prior.adapt` changes weights that are not trained, or nothing."""
        prior = self.make(config, case)
        before = [np.asarray(ops.convert_to_numpy(w.value)) for w in prior.trainable_weights]
        prior.adapt(iter([self.images(case, 4), self.images(case, 2)]))
        for weight, value in zip(prior.trainable_weights, before, strict=True):
            np.testing.assert_array_equal(ops.convert_to_numpy(weight.value), value)

    def test_densities_are_float32_in_any_policy(self, config: dict[str, Any], case: Any) -> None:
        """Under mixed_bfloat16 variables, KL and context are float32, and so are the weights."""
        with dtype_policy("mixed_bfloat16"):
            prior = self.make(config, case)
        assert {str(variable.dtype) for variable in prior.weights} <= {"float32"}
        inputs = [ops.convert_to_tensor(array) for array in self.inputs(config, case)]
        for output in self.compute_at_once(prior, *inputs):
            assert keras.backend.standardize_dtype(output.dtype) == "float32"
