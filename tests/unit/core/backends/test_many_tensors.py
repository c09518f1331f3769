"""Norms, scaling, averages and conditional updates of many tensors, against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.many_tensors import (
    apply_if,
    average_into,
    global_norm,
    scaled,
    split_vector,
)

pytestmark = pytest.mark.every_backend


def values(tensors):
    return [ops.convert_to_numpy(ops.convert_to_tensor(tensor)) for tensor in tensors]


def test_global_norm():
    assert float(global_norm([ops.ones((2, 2)) * 3, ops.ones((7,)) * 2])) == pytest.approx(8.0)


def test_scaled():
    first, second = values(scaled([ops.ones((2,)), ops.ones((1, 3)) * 2], ops.cast(0.5, "float32")))
    np.testing.assert_array_equal(first, [0.5, 0.5])
    np.testing.assert_array_equal(second, [[1.0, 1.0, 1.0]])


def test_the_norm_of_a_long_vector_is_exact():
    numbers = np.random.default_rng(0).normal(size=3_000_001).astype("f")
    found = float(global_norm([ops.convert_to_tensor(numbers)]))
    # PyTorch adds up in float32 on a CPU, and is given no vectors as long.
    tolerance = 1e-4 if keras.config.backend() == "torch" else 1e-6
    assert found == pytest.approx(np.linalg.norm(numbers.astype("d")), rel=tolerance)


def test_split_vector():
    parts = values(split_vector(ops.arange(6, dtype="float32"), [2, 1, 3]))
    assert [part.tolist() for part in parts] == [[0, 1], [2], [3, 4, 5]]


@pytest.mark.parametrize("as_tensor", [False, True])
def test_average_into(as_tensor):
    average, value = keras.Variable([1.0, 2.0]), keras.Variable([3.0, 6.0])
    average_into([average], [value], ops.cast(0.75, "float32") if as_tensor else 0.75)
    np.testing.assert_allclose(values([average])[0], [1.5, 3.0])
    np.testing.assert_array_equal(values([value])[0], [3.0, 6.0])


@pytest.mark.parametrize("accept", [True, False])
def test_apply_if(accept):
    variables = [keras.Variable([1.0, 2.0]), keras.Variable(3.0)]

    def update():
        for variable in variables:
            variable.assign(ops.convert_to_tensor(variable) + 1.0)

    apply_if(ops.convert_to_tensor(accept), update, variables)
    first, second = values(variables)
    np.testing.assert_array_equal(first, [2.0, 3.0] if accept else [1.0, 2.0])
    assert second == (4.0 if accept else 3.0)
