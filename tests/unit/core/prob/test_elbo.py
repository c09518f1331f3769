import math

import numpy as np
import pytest
from keras import ops

from hvae_core.interfaces import GaussianParameters, LatentOutput
from hvae_core.prob import bernoulli, elbo

pytestmark = pytest.mark.every_backend


def test_bits_per_dim_of_uniform_bytes_is_eight():
    assert elbo.bits_per_dim(-math.log(256.0) * 12, (2, 2, 3)) == pytest.approx(8.0)


def _log_pdf(x, mean, log_std):
    return -0.5 * ((x - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * math.log(2 * math.pi)


def test_log_ratio_is_that_of_the_two_densities_and_the_flow_s_determinant():
    rng = np.random.default_rng(0)
    noise, mean, log_std, prior_mean, prior_log_std = rng.normal(size=(5, 2, 1, 1, 3)).astype("f")
    log_det = np.array([0.5, -0.25], np.float32)
    start = mean + np.exp(log_std) * noise
    z = 2.0 * start  # where a flow has taken it
    q, p = (
        GaussianParameters(*map(ops.convert_to_tensor, parameters))
        for parameters in ((mean, log_std), (prior_mean, prior_log_std))
    )
    tensors = [ops.convert_to_tensor(array) for array in (z, log_det, noise)]
    layer = LatentOutput(tensors[0], tensors[1], tensors[1], q, p, tensors[2])
    expected = (
        _log_pdf(z, prior_mean, prior_log_std).sum((1, 2, 3))
        - _log_pdf(start, mean, log_std).sum((1, 2, 3))
        + log_det
    )
    actual = ops.convert_to_numpy(elbo.log_ratio(layer))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_bernoulli_probabilities_sum_to_one_at_any_logit():
    logits = ops.convert_to_tensor(np.array([-80.0, -2.0, 0.0, 3.0, 80.0], np.float32))
    total = sum(np.exp(ops.convert_to_numpy(bernoulli.log_prob(float(x), logits))) for x in (0, 1))
    np.testing.assert_allclose(total, 1.0, rtol=1e-6)
