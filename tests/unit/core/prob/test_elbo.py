import math

import numpy as np
import pytest
from keras import ops

from hvae_core.prob import bernoulli, elbo

pytestmark = pytest.mark.every_backend


def test_bits_per_dim_of_uniform_bytes_is_eight():
    assert elbo.bits_per_dim(-math.log(256.0) * 12, (2, 2, 3)) == pytest.approx(8.0)


def test_importance_weighted_is_log_mean_exp_without_overflow():
    weights = np.array([[-1000.0, 3.0], [-1001.0, 4.0], [-1002.0, 5.0]], np.float32)
    expected = np.log(np.exp(weights - weights.max(0)).mean(0)) + weights.max(0)
    actual = ops.convert_to_numpy(elbo.importance_weighted(ops.convert_to_tensor(weights)))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_bernoulli_probabilities_sum_to_one_at_any_logit():
    logits = ops.convert_to_tensor(np.array([-80.0, -2.0, 0.0, 3.0, 80.0], np.float32))
    total = sum(np.exp(ops.convert_to_numpy(bernoulli.log_prob(float(x), logits))) for x in (0, 1))
    np.testing.assert_allclose(total, 1.0, rtol=1e-6)
