import math

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.interfaces import GaussianParameters
from hvae_core.prob import gaussian
from hvae_core.prob.divergence import array_kl

pytestmark = pytest.mark.every_backend


def as_tensors(*arrays):
    return [ops.convert_to_tensor(np.asarray(a, np.float32)) for a in arrays]


def pair(seed=0, shape=(64,)):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(0, 1, shape) for _ in range(4)]
    mq, sq, mp, sp = as_tensors(*arrays)
    return arrays, GaussianParameters(mq, sq), GaussianParameters(mp, sp)


def test_kl_against_the_closed_form_in_float64():
    (mq, sq, mp, sp), q, p = pair()
    expected = sp - sq - 0.5 + (np.exp(2 * sq) + (mq - mp) ** 2) / (2 * np.exp(2 * sp))
    np.testing.assert_allclose(
        ops.convert_to_numpy(gaussian.kl_divergence(q, p)), expected, rtol=2e-5, atol=1e-5
    )
    arrays = (np.asarray(ops.convert_to_numpy(part), np.float64) for part in (*q, *p))
    np.testing.assert_allclose(array_kl(*arrays), expected, rtol=2e-5, atol=1e-5)


def test_kl_of_equals_is_zero_even_at_tiny_and_huge_scales():
    for log_std in (-60.0, -12.0, 0.0, 30.0):
        mean, scale = as_tensors([1.5], [log_std])
        same = GaussianParameters(mean, scale)
        assert ops.convert_to_numpy(gaussian.kl_divergence(same, same)).item() == 0.0


def test_log_prob_integrates_to_one_and_standard_form_agrees():
    mean, log_std = as_tensors([0.3], [-0.7])
    p = GaussianParameters(mean, log_std)
    grid = np.linspace(-8, 8, 20001, dtype=np.float32)
    density = np.exp(ops.convert_to_numpy(gaussian.log_prob(ops.convert_to_tensor(grid), p)))
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=1e-5)
    noise = ops.convert_to_tensor(np.linspace(-3, 3, 7, dtype=np.float32))
    np.testing.assert_allclose(
        ops.convert_to_numpy(gaussian.standard_log_prob(noise, p)),
        ops.convert_to_numpy(gaussian.log_prob(gaussian.draw(p, noise), p)),
        atol=1e-5,
    )


def test_log_softplus_against_float64_everywhere():
    x = np.concatenate([np.linspace(-100, 100, 4001), np.linspace(-8.01, -7.99, 201)])
    # log(log1p(e^x)) in float64; log1p(y) ~ y - y^2/2 below where exp underflows log1p's argument
    y = np.exp(x)
    expected = np.where(x < -30, x - y / 2, np.log(np.logaddexp(0.0, x)))
    actual = ops.convert_to_numpy(gaussian.log_softplus(as_tensors(x)[0]))
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)


def test_smoothed_log_std_at_zero_is_zero_and_has_a_floor():
    zero, low, high = as_tensors([0.0], [-1e4], [50.0])
    beta = math.log(2.0)
    value = ops.convert_to_numpy(gaussian.smoothed_log_std(zero, beta)).item()
    assert value == pytest.approx(0.0, abs=1e-6)
    assert ops.convert_to_numpy(gaussian.smoothed_log_std(low, beta)).item() == -12.0
    assert ops.convert_to_numpy(gaussian.smoothed_log_std(high, beta)).item() == pytest.approx(
        math.log(50.0), rel=1e-5
    )


def test_densities_are_float32_from_half_precision_outputs():
    mean = ops.cast(ops.ones((2, 3)), "bfloat16")
    p = gaussian.parameters(mean, mean, "softplus", math.log(2.0))
    assert {ops.dtype(p.mean), ops.dtype(p.log_std)} == {"float32"}


def flow_case(rows, bend):
    """A posterior, its prior, noise, and a flow z + bend tanh(z) that is exact by hand."""
    from hvae_core.backends.compiling import Program, value_and_grad

    rng = np.random.default_rng(0)
    parts = [keras.Variable(rng.normal(0, 0.5, (1, 3)).astype("f")) for _ in range(4)]
    drawn = rng.normal(size=(rows, 3)).astype("f")

    def pieces(noise):
        shape = ops.shape(noise)
        mq, sq, mp, sp = (ops.broadcast_to(ops.convert_to_tensor(v), shape) for v in parts)
        q, p = GaussianParameters(mq, sq), GaussianParameters(mp, sp)
        start = gaussian.draw(q, noise)
        end = start + bend * ops.tanh(start)
        log_det = gaussian.sum_event(ops.log1p(bend * (1 - ops.tanh(start) ** 2)))
        return q, p, noise, start, end, log_det

    def gradients(function, groups=1):
        """The mean's gradient, for each of so many groups of rows."""

        def of(noise):
            return value_and_grad(lambda: (ops.mean(function(*pieces(noise))), ()), parts)[2]

        program = Program(of, parts, compile=True)
        found = [
            [ops.convert_to_numpy(g) for g in program(ops.convert_to_tensor(noise))]
            for noise in np.split(drawn, groups)
        ]
        program.sync()
        return found

    return lambda: pieces(ops.convert_to_tensor(drawn)), gradients


def plain_estimate(q, p, noise, start, end, log_det):
    log_q = gaussian.sum_event(gaussian.standard_log_prob(noise, q)) - log_det
    return log_q - gaussian.sum_event(gaussian.log_prob(end, p))


def test_a_flow_s_kl_is_the_plain_estimate():
    pieces, _ = flow_case(rows=50, bend=0.4)
    arguments = pieces()
    np.testing.assert_allclose(
        ops.convert_to_numpy(gaussian.flow_kl(*arguments)),
        ops.convert_to_numpy(plain_estimate(*arguments)),
        atol=1e-5,
    )


def test_the_gradient_of_a_flow_s_kl_has_the_plain_one_s_mean():
    # Differences of the two have mean zero: 20,000 rows, split to get an error bar.
    _, gradients = flow_case(rows=20000, bend=0.4)
    estimates = (gradients(function, 20) for function in (gaussian.flow_kl, plain_estimate))
    groups = [
        np.concatenate([(a - b).ravel() for a, b in zip(ours, plain, strict=True)])
        for ours, plain in zip(*estimates, strict=True)
    ]
    groups = np.array(groups)
    error = groups.std(axis=0, ddof=1) / np.sqrt(len(groups))
    assert (np.abs(groups.mean(axis=0)) < 4.5 * error + 1e-6).all()
    assert error.max() > 1e-3, "the two gradients are the same, so nothing is shown"


def test_without_bending_a_flow_s_kl_has_the_analytic_gradient():
    _, gradients = flow_case(rows=7, bend=0.0)

    def analytic(q, p, *_):
        return gaussian.sum_event(gaussian.kl_divergence(q, p))

    found = (gradients(function)[0] for function in (gaussian.flow_kl, analytic))
    for ours, expected in zip(*found, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)
