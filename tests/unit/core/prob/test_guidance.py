"""Classifier-free guidance of a Gaussian: its mean is moved, its deviation is the conditional's."""

import numpy as np
import pytest
from keras import ops

from hvae_core.interfaces import GaussianParameters
from hvae_core.prob.guidance import guided

pytestmark = pytest.mark.every_backend


@pytest.mark.parametrize("guidance", [0.0, 1.0, 2.5])
def test_the_mean_goes_from_the_null_condition_s_through_the_condition_s(guidance):
    rng = np.random.default_rng(0)
    mean, log_std = rng.normal(size=(2, 6, 2, 1, 3)).astype("f")
    given = GaussianParameters(*map(ops.convert_to_tensor, (mean, log_std)))
    found = guided(given, ops.convert_to_tensor([guidance], "float32"))
    moved = (1 - guidance) * mean[3:] + guidance * mean[:3]
    for half in (slice(3), slice(3, 6)):
        np.testing.assert_allclose(ops.convert_to_numpy(found.mean)[half], moved, atol=1e-6)
        np.testing.assert_array_equal(ops.convert_to_numpy(found.log_std)[half], log_std[:3])
