"""What components with weights promise: names, files, gradients, determinism, compilation.

A layer of a configuration and a case is built and compiled once, in a `Trial` that all tests of a
class share: building and compiling take nearly all of the time. No test may leave it changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program, compiled, value_and_grad
from hvae_core.interfaces import Tensor
from hvae_core.layers import seeded
from hvae_core.plugins.testing.sharing import SharingContract
from hvae_core.weights import load_weights, save_weights, weight_names


class Trial:
    """A layer with random weights, and what it computes, compiled once for each shape.

    Args:
        contract: makes the layer and its inputs, and applies it.
        config: the options.
        case: the shape.
    """

    def __init__(self, contract: LayerContract, config: dict[str, Any], case: Any) -> None:
        self.contract = contract
        self.layer = contract.make_random(config, case)
        self.inputs = contract.inputs(config, case)
        self.tensors = [ops.convert_to_tensor(array) for array in self.inputs]
        self._programs: dict[str, Callable[..., Any]] = {}

    def run(
        self, inputs: Sequence[np.ndarray], function: Callable[..., Any] | None = None
    ) -> list[np.ndarray]:
        """`LayerContract.apply`, or another ``function`` of the layer, from arrays to arrays.

        Args:
            inputs: its arguments.
            function: of the layer and tensors; one that is passed again has its program already.
        """
        function = function or self.contract.apply
        name = getattr(function, "__qualname__", "")
        if name not in self._programs:
            applied = functools.partial(function, self.layer)
            self._programs[name] = compiled(lambda *t: tuple(applied(*t)), self.layer.variables)
        outputs = self._programs[name](*(ops.convert_to_tensor(array) for array in inputs))
        return [np.asarray(ops.convert_to_numpy(output)) for output in outputs]

    @functools.cached_property
    def outputs(self) -> list[np.ndarray]:
        """What the compiled layer gives for its inputs."""
        return self.run(self.inputs)

    @functools.cached_property
    def eager_outputs(self) -> list[np.ndarray]:
        """What the layer gives for its inputs, operation by operation."""
        return self.contract.compute(self.layer, self.inputs)


class LayerContract(SharingContract):
    """Base of the contracts for Keras layers.

    Attributes:
        weight_noise: standard deviation of what is added to the initial weights before most
            tests, so that nothing is zero.
        tolerance: absolute error allowed between two ways to compute the same numbers.
    """

    weight_noise: ClassVar[float] = 0.3
    tolerance: ClassVar[float] = 1e-4
    #: rows of the batches
    rows: ClassVar[int] = 3

    def make(self, config: dict[str, Any], case: Any) -> Any:
        """A built layer with its initial weights."""
        raise NotImplementedError

    def inputs(self, config: dict[str, Any], case: Any) -> list[np.ndarray]:
        """The arguments of `apply`: arrays of `rows` rows, float32 but for classes."""
        raise NotImplementedError

    def cases(self) -> Sequence[Any]:
        """The shapes to try, each with every configuration."""
        raise NotImplementedError

    def apply(self, layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the layer computes, as a tuple of tensors with the rows in front."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes ``config`` and ``case`` with all of them."""
        super().pytest_generate_tests(metafunc)
        if "case" in metafunc.fixturenames:
            cases = list(self.cases())
            metafunc.parametrize("case", cases, ids=[f"case{i}" for i in range(len(cases))])

    def make_random(self, config: dict[str, Any], case: Any, seed: int = 0) -> Any:
        """A built layer whose weights are far from their start, the same each time."""
        with seeded(seed):
            layer = self.make(config, case)
        rng = np.random.default_rng(seed)
        for variable in layer.trainable_variables:
            value = np.asarray(ops.convert_to_numpy(variable.value))
            variable.assign(value + rng.normal(0.0, self.weight_noise, value.shape).astype("f"))
        return layer

    def trial(self, config: dict[str, Any], case: Any) -> Trial:
        """The layer that this class's tests share for ``config`` and ``case``."""
        return self.shared(config, case, lambda: Trial(self, config, case))

    def compute(self, layer: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """`apply` from arrays to arrays, operation by operation."""
        outputs = self.apply(layer, *(ops.convert_to_tensor(array) for array in inputs))
        return [np.asarray(ops.convert_to_numpy(output)) for output in outputs]

    def compute_at_once(self, layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        """`apply` in one program: for a single pass, JAX would compile each operation."""
        program = compiled(lambda *tensors: tuple(self.apply(layer, *tensors)), layer.variables)
        return tuple(program(*inputs))

    def test_any_number_of_rows(self, config: dict[str, Any], case: Any) -> None:
        """Rows do not see each other, and a batch of unknown size can be traced."""
        trial = self.trial(config, case)
        layer, inputs, whole = trial.layer, trial.inputs, trial.outputs
        for row in range(self.rows):
            alone = trial.run([array[row : row + 1] for array in inputs])
            for together, single in zip(whole, alone, strict=True):
                np.testing.assert_allclose(
                    single[0], together[row], atol=self.tolerance, rtol=self.tolerance,
                    err_msg="a row's result depends on the other rows",
                )  # fmt: skip
        wrapped = _Applied(layer, self.apply)
        symbolic = wrapped(
            [keras.Input(array.shape[1:], dtype=array.dtype.name) for array in inputs]
        )
        for output, array in zip(symbolic, whole, strict=True):
            assert tuple(output.shape) == (None, *array.shape[1:])

    def test_every_weight_gets_a_gradient(self, config: dict[str, Any], case: Any) -> None:
        """No weight is built and then not used; all gradients are finite."""
        trial = self.trial(config, case)
        layer, variables = trial.layer, trial.layer.trainable_variables
        if not variables:
            pytest.skip("it has no weights")
        rng = np.random.default_rng(5)
        factors = [
            ops.convert_to_tensor(rng.normal(size=output.shape).astype("f"))
            for output in trial.outputs
        ]

        def loss() -> tuple[Tensor, tuple[()]]:
            outputs = self.apply(layer, *trial.tensors)
            terms = [ops.sum(o * f) for o, f in zip(outputs, factors, strict=True)]
            return sum(terms[1:], terms[0]), ()

        # Eager, JAX would compile each operation.
        on_jax = keras.config.backend() == "jax"
        program = Program(lambda: value_and_grad(loss, variables)[2], layer.variables, on_jax)
        gradients = program()
        program.sync()
        for variable, gradient in zip(variables, gradients, strict=True):
            values = np.asarray(ops.convert_to_numpy(gradient))
            assert np.isfinite(values).all(), f"the gradient to {variable.path} is not finite"
            assert np.abs(values).max() > 0, f"no gradient reaches {variable.path}"

    def test_a_second_one_has_the_same_weight_names(
        self, config: dict[str, Any], case: Any
    ) -> None:
        """Weights files go by names, so they must not count the layers built before."""
        first, second = self.trial(config, case).layer, self.make(config, case)
        if not first.weights:
            pytest.skip("it has no weights")
        assert list(weight_names(first)) == list(weight_names(second)), (
            "weight names change from one to the next; give every sublayer an explicit name="
        )

    def test_weights_survive_a_safetensors_file(
        self, config: dict[str, Any], case: Any, tmp_path: Path
    ) -> None:
        """Another one with the file's weights computes the same."""
        trial, second = self.trial(config, case), self.make_random(config, case, 2)
        if not second.weights:
            pytest.skip("it has no weights")
        save_weights(trial.layer, tmp_path / "weights.safetensors")
        load_weights(second, tmp_path / "weights.safetensors")
        found = self.compute(second, trial.inputs)
        for got, wanted in zip(found, trial.eager_outputs, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-6, rtol=1e-6)

    def test_the_same_seed_gives_the_same_numbers(self, config: dict[str, Any], case: Any) -> None:
        """Initial weights follow the seed, and the same call gives the same result."""
        layers = []
        for _ in range(2):
            with seeded(7):
                keras.utils.set_random_seed(7)
                layers.append(self.make(config, case))
        for one, other in zip(layers[0].weights, layers[1].weights, strict=True):
            np.testing.assert_array_equal(
                ops.convert_to_numpy(one.value), ops.convert_to_numpy(other.value),
                err_msg=f"the initial {one.path} does not follow the seed",
            )  # fmt: skip
        trial = self.trial(config, case)
        again = self.compute(trial.layer, trial.inputs)
        for one, other in zip(trial.eager_outputs, again, strict=True):
            np.testing.assert_array_equal(one, other, err_msg="two equal calls differ")

    def test_compiled_equals_eager(self, config: dict[str, Any], case: Any) -> None:
        """The compiled program (see `compiled` in `hvae_core.backends`) computes the same."""
        trial = self.trial(config, case)
        for got, wanted in zip(trial.outputs, trial.eager_outputs, strict=True):
            np.testing.assert_allclose(got, wanted, atol=self.tolerance, rtol=self.tolerance)


class _Applied(keras.layers.Layer):
    """The layer's `apply` as a layer's call, so that Keras can trace it."""

    def __init__(self, inner: Any, apply: Any) -> None:
        super().__init__(name="applied")
        self.inner, self.function = inner, apply
        self.built = True

    def call(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        return self.function(self.inner, *inputs)
