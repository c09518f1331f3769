"""The weights of KL balancing, against a training step recorded from Efficient-VDVAE."""

from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from hvae_core.training.objective import balance

pytestmark = pytest.mark.every_backend


def layer(kl, side, channels):
    """A latent layer of which the balance reads KL [B] in nats and shape."""
    return SimpleNamespace(
        kl=ops.convert_to_tensor(np.asarray(kl, np.float32)),
        z=ops.zeros((len(kl), side, side, channels)),
    )


def alpha(layers, scaled=True):
    return ops.convert_to_numpy(balance(layers, scaled))


def test_layers_of_equal_nats_an_element_weigh_the_same_at_any_scale():
    layers = [layer([0.5 * side**2 * 16] * 3, side, 16) for side in (1, 4, 8, 16, 32)]
    np.testing.assert_allclose(alpha(layers), 1.0, rtol=1e-5)
    by_nats = alpha(layers, scaled=False)
    assert by_nats[0] < 0.01
    assert by_nats[-1] > 3


def test_the_weights_are_the_original_s():
    """Of a step of Rayhane-mamah/Efficient-VDVAE on three variates, its ``scaled_gamma`` on."""
    sides = (2, 2, 8, 8, 16, 16, 32, 32, 32)
    nats_per_dimension = (
        0.0003563, 0.00012273, 0.00603198, 0.00575105, 0.01251626, 0.01623043, 0.03752379,
        0.02285967, 0.05795148,
    )  # fmt: skip
    recorded = (
        1.5077063, 0.51934534, 1.595285, 1.5209866, 0.82754683, 1.0731196, 0.6202473, 0.37785757,
        0.9579054,
    )  # fmt: skip
    kls = [kl * 32 * 32 * 3 for kl in nats_per_dimension]
    layers = [layer([0.5 * kl, 1.5 * kl], side, 3) for kl, side in zip(kls, sides, strict=True)]
    np.testing.assert_allclose(alpha(layers), recorded, rtol=5e-5)
    assert np.abs(alpha(layers, scaled=False) - recorded).max() > 0.5


def test_estimates_below_zero_weigh_nothing_and_no_sum_cancels():
    """A flow's KL is the estimate of one draw."""
    layers = [layer([-3.0, 1.0], 1, 4), layer([2.0, 2.0], 1, 4), layer([0.5, 0.5], 1, 4)]
    np.testing.assert_allclose(alpha(layers), [0.0, 2.4, 0.6], rtol=1e-5)
    cancelling = [layer([-2.0], 1, 4), layer([2.0], 1, 4)]
    np.testing.assert_allclose(alpha(cancelling), [0.0, 2.0], rtol=1e-5)
    np.testing.assert_array_equal(alpha([layer([-1.0], 1, 4), layer([-2.0], 1, 4)]), 0.0)
