"""Free bits, against their definition and its gradient."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.gradients import gradient_of
from hvae_core.training.objective import floored_rate

pytestmark = pytest.mark.every_backend

#: [B, L]: means 0.25, 2.0 and 0.75
KL = np.asarray([[0.0, 3.5, 0.25], [0.5, 0.5, 1.25]], np.float32)


def rate(kl, free_bits):
    """The floored rate [B] of layers with this KL [B, L]."""
    layers = [SimpleNamespace(kl=kl[:, layer]) for layer in range(KL.shape[1])]
    return floored_rate(layers, free_bits)


@pytest.mark.parametrize("free_bits", [0.1, 0.5, 1.0, 10.0])
def test_the_mean_is_the_sum_of_the_layers_or_of_what_is_free(free_bits):
    found = ops.convert_to_numpy(rate(ops.convert_to_tensor(KL), free_bits))
    assert found.shape == (2,)
    assert found.mean() == pytest.approx(np.maximum(KL.mean(axis=0), free_bits).sum(), rel=1e-6)


def test_layers_below_have_no_gradient_and_those_above_their_own():
    kl = keras.Variable(KL)

    def loss():
        return ops.mean(rate(kl.value, 0.5)), {}

    _, _, (found,) = gradient_of(loss, [kl], [])()
    expected = np.broadcast_to(np.asarray([0.0, 0.5, 0.5], np.float32), KL.shape)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-7)
