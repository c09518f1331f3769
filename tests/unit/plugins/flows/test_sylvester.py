"""What the Sylvester flow's proof rests on, beside the contract of flows."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.errors import ConfigError
from hvae_core.layers import dtype_policy
from hvae_core.plugins.testing.autodiff import jacobian_of
from hvae_plugins.flows.householder import reflect
from hvae_plugins.flows.sylvester import SylvesterConfig
from hvae_plugins.flows.sylvester.layer import Sylvester, bjorck, orthonormal_columns

VARIANTS = ["orthogonal", "householder", "triangular"]


def flow_of(variant, **options):
    config = SylvesterConfig(
        variant=variant, flows=3, orthogonal_vectors=4, reflections=3, **options
    )
    flow = Sylvester(config, (2, 2, 3), 2, name="flow")
    flow.build()
    return flow


def draws(rows=5):
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(rows, 2, 2, 3)).astype("float32"),
        rng.normal(size=(rows, 2, 2, 2)).astype("float32"),
    )


def orthogonality_error(q):
    q = np.asarray(ops.convert_to_numpy(q), np.float64)
    return np.abs(np.swapaxes(q, -1, -2) @ q - np.eye(q.shape[-1])).max()


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
def test_columns_are_orthonormal_however_alike_the_vectors_are(spread):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(7, 1, 48)) + spread * rng.normal(size=(7, 16, 48))
    q = orthonormal_columns(ops.convert_to_tensor(vectors.astype("float32")))
    assert orthogonality_error(q) < 1e-5


def test_bjorck_s_iteration_gives_the_polar_factor():
    matrix = np.random.default_rng(0).normal(size=(3, 20, 4)).astype("float32")
    q = ops.convert_to_numpy(bjorck(ops.convert_to_tensor(matrix), 30))
    assert orthogonality_error(q) < 1e-5
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    np.testing.assert_allclose(q, u @ v, atol=1e-5)


def test_a_reflection_is_its_own_inverse():
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, 6, 3)).astype("float32"), rng.normal(size=(2, 6)).astype("float32")
    x, v = ops.convert_to_tensor(x), ops.convert_to_tensor(v)
    twice = ops.convert_to_numpy(reflect(reflect(x, v, axis=-2), v, axis=-2))
    np.testing.assert_allclose(twice, ops.convert_to_numpy(x), atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_starts_as_the_identity(variant):
    z, context = draws()
    out = flow_of(variant).forward(ops.convert_to_tensor(z), ops.convert_to_tensor(context))
    np.testing.assert_allclose(ops.convert_to_numpy(out.z), z, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(out.log_det), 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("scale", "precision", "tolerance"),
    # Weights of N(0, 1) make Jacobians whose determinant float32 itself cannot take to 1e-4.
    [(0.05, "float32", 1e-4), (0.3, "float32", 1e-4), (0.3, "float64", 1e-8), (1, "float64", 1e-8)],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_log_det_is_that_of_the_jacobian(variant, scale, precision, tolerance):
    if precision == "float64" and keras.config.backend() == "jax":
        pytest.skip("JAX computes in float64 only where the whole process does")
    with dtype_policy(precision):
        flow = flow_of(variant)
    rng = np.random.default_rng(1)
    for weight in flow.weights:
        weight.assign(rng.normal(0, scale, weight.shape).astype(precision))
    z, context = (array.astype(precision) for array in draws(rows=3))
    out = flow.forward(ops.convert_to_tensor(z), ops.convert_to_tensor(context))
    log_det = ops.convert_to_numpy(out.log_det)
    jacobian = jacobian_of(lambda x, given: flow.forward(x, given).z, flow.variables)
    for row in range(len(z)):
        one = slice(row, row + 1)
        sign, expected = np.linalg.slogdet(jacobian(z[one], context[one]))
        assert sign == 1
        assert abs(log_det[row] - expected) < tolerance


def test_more_columns_than_numbers_are_refused():
    with pytest.raises(ConfigError, match="orthogonal_vectors is 13"):
        Sylvester(SylvesterConfig(orthogonal_vectors=13), (2, 2, 3), 2, name="flow")
