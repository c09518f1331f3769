"""The radial flow keeps the contract of flows, and its start is the identity."""

import numpy as np
from keras import ops

import hvae
from hvae.plugins.testing import FlowContract


class TestRadial(FlowContract):
    spec = "flow.radial"
    configs = [{}, {"layers": 1, "context_channels": 1}]  # noqa: RUF012


def test_it_starts_as_the_identity():
    flow = hvae.create("flow.radial", latent_shape=(2, 2, 3))
    flow.build()
    z = np.random.default_rng(0).normal(size=(4, 2, 2, 3)).astype("float32")
    context = np.ones((4, 2, 2, 2), "float32")
    out = flow.forward(ops.convert_to_tensor(z), ops.convert_to_tensor(context))
    np.testing.assert_allclose(ops.convert_to_numpy(out.z), z, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(out.log_det), 0.0, atol=1e-6)
