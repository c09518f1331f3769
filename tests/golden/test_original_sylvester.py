"""The original Sylvester flows' numbers (van den Berg et al. 2018), by their own parameters."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.layers import dtype_policy
from hvae_core.weights import read_tensors
from hvae_plugins.flows.sylvester import SylvesterConfig
from hvae_plugins.flows.sylvester.layer import Sylvester

pytestmark = pytest.mark.every_backend

HEADS = {
    "triangles": "amor_d", "diagonal1": "amor_diag1", "diagonal2": "amor_diag2",
    "shifts": "amor_b", "basis": "amor_q",
}  # fmt: skip
OPTIONS = {
    "orthogonal": {"orthogonal_vectors": 8, "flows": 3, "orthogonalization": "bjorck"},
    "householder": {"reflections": 4, "flows": 3},
    "triangular": {"flows": 4},
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("variant", OPTIONS)
def test_the_original_s_numbers(variant, precision, shared_folder):
    if precision == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX computes in float64 only where the whole process does")
    golden = read_tensors(shared_folder / "goldens" / "flows" / f"sylvester_{variant}.safetensors")
    tolerance = 1e-9 if precision == "float64" else 1e-4
    shape = golden["z"].shape[1:]
    config = SylvesterConfig(variant=variant, diagonal_bound=1.0, **OPTIONS[variant])
    with dtype_policy(precision):
        flow = Sylvester(config, shape, 1, name="flow")
    # The original's context is a vector that no map has the size of: its heads are used as such.
    flow.context_size = golden["h"].shape[1]
    flow.build()
    for ours, theirs in HEADS.items():
        if (head := getattr(flow, ours)) is not None:
            head.set_weights([golden[f"{theirs}.kernel"], golden[f"{theirs}.bias"]])
    z, h = (ops.convert_to_tensor(golden[key], dtype=precision) for key in ("z", "h"))
    out = flow.forward(z, h)
    to_numpy = ops.convert_to_numpy
    np.testing.assert_allclose(to_numpy(out.z), golden["z_out"], atol=tolerance)
    np.testing.assert_allclose(to_numpy(out.log_det), golden["logdet"], atol=tolerance)
    if precision == "float64":
        # In float32 the way back is as ill-conditioned as the original's diagonals, up to 1, are.
        back = flow.inverse(out.z, h)
        np.testing.assert_allclose(to_numpy(back.z), golden["z"], atol=1e-8)
        np.testing.assert_allclose(to_numpy(back.log_det), golden["logdet"], atol=1e-8)
