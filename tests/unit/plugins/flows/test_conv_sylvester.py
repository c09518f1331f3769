"""What the convolutional Sylvester flow's proof rests on, beside the contract of flows."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import compiled, value_and_grad
from hvae_core.errors import ConfigError
from hvae_core.layers import dtype_policy
from hvae_core.plugins.testing.autodiff import jacobian_of
from hvae_plugins.flows.conv_sylvester import ConvSylvesterConfig, count_levels
from hvae_plugins.flows.conv_sylvester.convolutions import autoregressive_mask
from hvae_plugins.flows.conv_sylvester.exponential import (
    bounded,
    convolution_norm_bound,
    convolve,
    exponential,
    quick_norm_bound,
)
from hvae_plugins.flows.conv_sylvester.flow import ConvSylvester, hidden_channels


def flow_of(shape, context=0, **options):
    flow = ConvSylvester(ConvSylvesterConfig(**options), shape, context, name="flow")
    flow.build()
    return flow


def randomise(flow, scale, seed=1):
    rng = np.random.default_rng(seed)
    for weight in flow.weights:
        weight.assign(rng.normal(0, scale, weight.shape).astype(weight.dtype))
    return flow


def draws(shape, rows=2, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=(rows, *shape)).astype(dtype)


def skip_without(precision):
    if precision == "float64" and keras.config.backend() == "jax":
        pytest.skip("JAX computes in float64 only where the whole process does")


def to_numpy(x):
    return np.asarray(ops.convert_to_numpy(x))


def quick(function, variables):
    """Compiled where that is quicker: JAX takes long over single operations, others to compile."""
    return compiled(function, variables) if keras.config.backend() == "jax" else function


def run(flow, direction, *arguments):
    """The flow's forward or inverse."""
    return quick(getattr(flow, direction), flow.variables)(*arguments)


def jacobian_in_one_pass(flow):
    """The Jacobian of ``flow.forward`` at one latent [1, ...]: output i is of the i-th copy.

    No copy moves another's output, as the contract of flows shows.
    """

    def jacobian(z, *given):
        size = z.size
        copies, *given = (ops.convert_to_tensor(np.repeat(x, size, 0)) for x in (z, *given))
        place = keras.Variable(copies, dtype=copies.dtype, trainable=True)

        def loss():
            out = flow.forward(ops.convert_to_tensor(place), *given).z
            return ops.trace(ops.reshape(out, (size, size))), ()

        _, _, (rows,) = value_and_grad(loss, [place], flow.variables)
        return to_numpy(rows).reshape(size, size).astype("float64")

    return jacobian


def kernels():
    """Kernels of all kinds [3, 3, 4, 4]."""
    rng = np.random.default_rng(3)
    spike = np.zeros((3, 3, 4, 4))
    spike[0, 2] = rng.normal(size=(4, 4))
    return {
        "random": rng.normal(size=(3, 3, 4, 4)),
        "low-pass": np.ones((3, 3, 4, 4)) + 0.1 * rng.normal(size=(3, 3, 4, 4)),
        "one tap": spike,
        "rank one": np.einsum("h,w,i,o->hwio", *(rng.normal(size=n) for n in (3, 3, 4, 4))),
        "orthogonal centre": np.pad(
            np.linalg.qr(rng.normal(size=(4, 4)))[0][None, None], ((1, 1), (1, 1), (0, 0), (0, 0))
        ),
    }


def dense(kernel, height=5, width=6):
    """The matrix of the zero-padded convolution."""
    size = height * width * kernel.shape[2]
    basis = np.eye(size, dtype="float32").reshape(size, height, width, kernel.shape[2])
    return to_numpy(convolve(ops.convert_to_tensor(basis), kernel)).reshape(size, -1).T


@pytest.mark.parametrize("kind", kernels())
def test_both_bounds_are_above_the_norm(kind):
    kernel = ops.convert_to_tensor(kernels()[kind].astype("float32"))
    norm = np.linalg.norm(dense(kernel), 2)
    assert to_numpy(convolution_norm_bound(kernel)) >= norm * (1 - 1e-6)
    assert to_numpy(quick_norm_bound(kernel)) >= norm * (1 - 1e-6)
    # and the first not so far that it would be of no use
    assert to_numpy(convolution_norm_bound(kernel)) <= 3.1 * norm


@pytest.mark.parametrize("shape", [(3, 3, 2, 6), (3, 3, 6, 2), (1, 1, 5, 3)])
def test_the_quick_bound_is_above_the_norm_of_any_kernel(shape):
    kernel = ops.convert_to_tensor(draws(shape[1:], rows=shape[0]))
    assert to_numpy(quick_norm_bound(kernel)) >= np.linalg.norm(dense(kernel), 2) * (1 - 1e-6)


@pytest.mark.parametrize("kind", kernels())
def test_large_kernels_are_bounded_and_small_ones_left_alone(kind):
    kernel = kernels()[kind].astype("float32")
    large = bounded(ops.convert_to_tensor(100 * kernel))
    assert np.linalg.norm(dense(large), 2) <= 0.9 * (1 + 1e-6)
    small = kernel * (0.8 / to_numpy(convolution_norm_bound(ops.convert_to_tensor(kernel))))
    np.testing.assert_allclose(to_numpy(bounded(ops.convert_to_tensor(small))), small, atol=1e-7)
    assert np.isfinite(to_numpy(bounded(ops.zeros((3, 3, 4, 4))))).all()


@pytest.mark.parametrize("terms", [9, 12])
@pytest.mark.parametrize("kind", kernels())
def test_the_exponential_s_inverse_is_its_inverse(kind, terms):
    kernel = bounded(ops.convert_to_tensor(100 * kernels()[kind].astype("float32")))
    size = 5 * 6 * 4
    x = ops.convert_to_tensor(np.eye(size, dtype="float32").reshape(size, 5, 6, 4))
    there_and_back = exponential(exponential(x, kernel, terms), -kernel, terms)
    error = to_numpy(there_and_back).reshape(size, size) - np.eye(size)
    assert np.linalg.norm(error, 2) < 1e-6


@pytest.mark.parametrize(("inputs", "outputs"), [(4, 12), (12, 4), (4, 4), (1, 3)])
def test_masks(inputs, outputs):
    loose = autoregressive_mask(3, inputs, outputs, strict=False).reshape(9, inputs, outputs)
    strict = autoregressive_mask(3, inputs, outputs, strict=True).reshape(9, inputs, outputs)
    for mask in (loose, strict):
        assert (mask[:4] == 0).all()
        assert (mask[5:] == 1).all()
    groups = min(inputs, outputs)
    for i in range(inputs):
        for o in range(outputs):
            source, target = i * groups // inputs, o * groups // outputs
            assert loose[4, i, o] == (source <= target)
            assert strict[4, i, o] == (source < target)


@pytest.mark.parametrize("channels", [2, 12])
def test_the_jacobian_of_f_is_triangular_with_the_diagonal_it_says(channels):
    flow = randomise(flow_of((3, 3, 4), channels=channels, levels=1), 0.5)
    step = flow.stack[0].steps[0]
    u = draws((3, 3, 4), rows=1)
    matrix = jacobian_of(lambda x: step._f(x, None)[0], flow.variables)(u).reshape(9, 4, 9, 4)
    # pixels in reverse raster order, channels ascending
    matrix = matrix[::-1, :, ::-1].reshape(36, 36)
    assert (np.triu(matrix, 1) == 0).all()
    assert np.abs(np.tril(matrix, -1)).max() > 0
    diagonal = to_numpy(step._f(ops.convert_to_tensor(u), None)[1])
    expected = np.diag(matrix).reshape(9, 4)[::-1].reshape(1, 3, 3, 4)
    np.testing.assert_allclose(diagonal, expected, atol=1e-6)
    assert np.abs(diagonal).max() < 0.5


CASES = {
    "one level": ((4, 4, 4), {"levels": 1, "channels": 2, "repeats": 2}),
    "two levels": ((4, 4, 4), {"levels": 2, "channels": 8, "split_first": True}),
    "three levels": ((8, 8, 4), {"levels": 3, "channels": 16}),
    "three, not normalised": (
        (8, 8, 4),
        {"levels": 3, "channels": 4, "split_first": True, "spectral_norm": False},
    ),
}
if keras.config.backend() == "jax":
    # Compiling takes most of the time there: a case with all kinds of layers, and small ones.
    CASES["three levels"] = ((4, 4, 4), {"levels": 3, "channels": 16, "terms": 9, "reflections": 2})
    del CASES["three, not normalised"]


class Case:
    """A flow and its programs, which are compiled once for all of a case's tests."""

    def __init__(self, name, precision):
        shape, options = CASES[name]
        with dtype_policy(precision):
            self.flow = flow_of(shape, context=1, **options)
        self.start = [to_numpy(weight) for weight in self.flow.weights]
        self.forward, self.inverse = (
            quick(function, self.flow.variables)
            for function in (self.flow.forward, self.flow.inverse)
        )
        self.jacobian = jacobian_in_one_pass(self.flow)
        if keras.config.backend() == "jax":
            self.jacobian = jacobian_of(lambda z, h: self.flow.forward(z, h).z, self.flow.variables)
        self.shapes = (shape, (*shape[:2], 1))
        self.precision = precision

    def restart(self):
        for weight, value in zip(self.flow.weights, self.start, strict=True):
            weight.assign(value)

    def draws(self, rows=2):
        """A latent and its context."""
        return [draws(shape, rows, self.precision) for shape in self.shapes]


@functools.cache
def case_of(name, precision):
    skip_without(precision)
    return Case(name, precision)


@pytest.mark.parametrize(
    ("scale", "precision", "tolerance"),
    [
        (0.05, "float32", 1e-4),
        (0.3, "float32", 1e-4),
        # Jacobians of such weights have determinants that float32 cannot take to 1e-4.
        (0.3, "float64", 1e-8),
        (1.0, "float64", 1e-8),
    ],
)
@pytest.mark.parametrize("name", CASES)
def test_log_det_is_that_of_the_jacobian(name, scale, precision, tolerance):
    if name != "two levels" and precision == "float32" and keras.config.backend() == "jax":
        pytest.skip("compiles for long; the other backends take float64, too")
    case = case_of(name, precision)
    if scale == 1.0 and "not normalised" in name:
        pytest.skip("such a Jacobian's condition is 1e18: not even float64 has its determinant")
    randomise(case.flow, scale)
    given = case.draws(rows=1)
    sign, expected = np.linalg.slogdet(case.jacobian(*given))
    assert sign == 1
    log_det = to_numpy(case.forward(*map(ops.convert_to_tensor, given)).log_det)[0]
    assert abs(log_det - expected) < tolerance


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("float64", 1e-9)])
@pytest.mark.parametrize("name", CASES)
def test_the_inverse_leads_back_both_ways(name, precision, tolerance):
    case = case_of(name, precision)
    randomise(case.flow, 0.2)
    z, given = map(ops.convert_to_tensor, case.draws())
    out = case.forward(z, given)
    back = case.inverse(out.z, given)
    np.testing.assert_allclose(to_numpy(back.z), to_numpy(z), atol=tolerance)
    np.testing.assert_allclose(to_numpy(back.log_det), to_numpy(out.log_det), atol=tolerance)
    preimage = case.inverse(z, given)
    again = case.forward(preimage.z, given)
    np.testing.assert_allclose(to_numpy(again.z), to_numpy(z), atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_it_starts_as_the_identity(name):
    case = case_of(name, "float32")
    case.restart()
    z, given = case.draws()
    out = case.forward(ops.convert_to_tensor(z), ops.convert_to_tensor(given))
    np.testing.assert_array_equal(to_numpy(out.z), z)
    np.testing.assert_array_equal(to_numpy(out.log_det), 0)


def test_its_permutations_are_undone():
    flow = flow_of((8, 8, 4), levels=3, split_first=True, channels=4)
    z = ops.convert_to_tensor(draws((8, 8, 4)))
    x, aside = flow._arrange(z)
    # 2 of 4 channels, folded to 8, halved to 4, folded to 16
    assert tuple(x.shape[1:]) == (2, 2, 16)
    assert [tuple(part.shape[1:]) for part in aside] == [(8, 8, 2), (4, 4, 4)]
    np.testing.assert_array_equal(to_numpy(flow._restore(x, aside)), to_numpy(z))


@pytest.mark.parametrize("orient_context", [True, False])
def test_a_context_acts_where_it_is(orient_context):
    """Of the second level alone, whose latent comes turned from the first; off: as in format 2."""
    options = {"levels": 2, "repeats": 1, "channels": 8, "orient_context": orient_context}
    flow = randomise(flow_of((16, 16, 2), context=1, **options), 0.3)
    for weight in flow.stack[0].weights:  # the first level is the identity but for its flip
        weight.assign(np.zeros(weight.shape, weight.dtype))
    z = ops.convert_to_tensor(draws((16, 16, 2)))
    still, moved = np.zeros((2, 16, 16, 1), np.float32), np.zeros((2, 16, 16, 1), np.float32)
    moved[:, 1, 2] = 1.0
    outputs = [to_numpy(run(flow, "call", z, ops.convert_to_tensor(c)).z) for c in (still, moved)]
    changes = np.abs(outputs[1] - outputs[0]).sum(axis=(0, 3))
    place = np.unravel_index(changes.argmax(), changes.shape)
    assert np.abs(np.subtract(place, (1, 2) if orient_context else (14, 13))).max() <= 5
    assert changes[:8, :8].sum() > 100 * changes[8:, 8:].sum() or not orient_context


def test_calls_change_nothing():
    flow = randomise(flow_of((4, 4, 4), channels=8), 0.3)
    z = ops.convert_to_tensor(draws((4, 4, 4)))
    before, weights = to_numpy(z).copy(), [to_numpy(w).copy() for w in flow.weights]
    first, second = run(flow, "forward", z), run(flow, "forward", z)
    np.testing.assert_array_equal(to_numpy(first.z), to_numpy(second.z))
    np.testing.assert_array_equal(to_numpy(z), before)
    for weight, old in zip(flow.weights, weights, strict=True):
        np.testing.assert_array_equal(to_numpy(weight), old)


@pytest.mark.parametrize(
    ("side", "cap", "levels"), [(32, 3, 3), (32, None, 6), (8, None, 4), (6, 3, 2), (1, 3, 1)]
)
def test_levels(side, cap, levels):
    assert count_levels(side, cap) == levels


@pytest.mark.parametrize(
    ("wanted", "channels", "hidden"), [(128, 16, 128), (100, 16, 96), (10, 16, 8), (3, 7, 1)]
)
def test_hidden_channels_fit_the_masks(wanted, channels, hidden):
    assert hidden_channels(wanted, channels) == hidden


def test_an_odd_latent_cannot_be_split_first():
    with pytest.raises(ConfigError, match="latent_width is 3 at scale 4"):
        flow_of((4, 4, 3), split_first=True)
