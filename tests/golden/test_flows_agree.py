"""The same weights give the same flows on every backend: values, densities and all gradients.

What holds for a flow with PyTorch, where `tests/contract` and `tests/unit/plugins/flows` prove its
properties with every option, so holds with the others. Weights, latents and contexts are drawn by
NumPy; ``python tests/golden/test_flows_agree.py`` records what PyTorch computes.
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.config.backend() == "openvino", reason="it has no gradients"),
]

EXPECTED = Path(__file__).parent.parent / "fixtures" / "flows.json"
FLAT, MAP, EVEN = (1, 1, 4), (2, 2, 3), (4, 4, 2)
CASES = {
    "orthogonal": ("sylvester", {"flows": 2, "orthogonal_vectors": 3}, MAP),
    "bjorck": (
        "sylvester", {"flows": 2, "orthogonal_vectors": 3, "orthogonalization": "bjorck"}, FLAT,
    ),
    "householder": ("sylvester", {"variant": "householder", "flows": 2, "reflections": 3}, MAP),
    "triangular": ("sylvester", {"variant": "triangular", "flows": 3}, FLAT),
    "planar": ("planar", {"flows": 3}, MAP),
    "iaf": ("iaf", {"flows": 2, "hidden": 9}, FLAT),
    "gated": ("iaf", {"flows": 1, "hidden": 16, "context_channels": 0, "gated": True}, FLAT),
    "two levels": (
        "conv-sylvester", {"channels": 4, "split_first": True, "levels": 2, "terms": 9}, EVEN,
    ),
    "two levels of format 2": (
        "conv-sylvester",
        {"channels": 4, "split_first": True, "levels": 2, "terms": 9, "orient_context": False},
        EVEN,
    ),
    "repeats": (
        "conv-sylvester",
        {"channels": 12, "levels": 1, "repeats": 2, "spectral_norm": False, "reflections": 2,
         "context_channels": 0},
        EVEN,
    ),
    "heads": (
        "conv-sylvester", {"channels": 4, "levels": 1, "terms": 9, "bound_heads": "each"}, EVEN,
    ),
}  # fmt: skip
ROWS = 3


def figures(case: str) -> dict:
    """z, log_det, the inverse's two, and the gradients of a sum of the first two."""
    from keras import ops

    from hvae_core.backends.compiling import Program, value_and_grad
    from hvae_core.plugins import manager

    name, options, shape = CASES[case]
    spec = manager().get("flow", name)
    checked = spec.config(**options)
    width = spec.context_channels(checked, shape)
    flow = spec.build(checked, shape, width, name="flow")
    if not flow.built:
        flow.build((None, *shape))
    rng = np.random.default_rng(0)
    assert not flow.non_trainable_variables
    for variable in flow.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape).astype("float32"))
    shapes = [(ROWS, *shape), *([(ROWS, *shape[:2], width)] if width else [])]
    given = [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in shapes]
    factor = ops.convert_to_tensor(rng.normal(size=shapes[0]).astype("float32"))
    variables = [*flow.trainable_variables, *given]

    def loss():
        z, *context = (ops.convert_to_tensor(variable) for variable in given)
        there = flow.forward(z, *context)
        back = flow.inverse(there.z, *context) if flow.invertible else there
        total = ops.sum(factor * there.z) + ops.sum(there.log_det)
        return total, (there.z, there.log_det, back.z, back.log_det)

    program = Program(lambda: value_and_grad(loss, variables)[1:], variables, compile=True)
    values, gradients = program()
    found = [ops.convert_to_numpy(value) for value in values]
    names = ("z", "log_det", "start", "its_log_det")
    # Of a kernel a few numbers and the norm.
    parts = [ops.convert_to_numpy(gradient).ravel() for gradient in gradients]
    return {
        **{key: array.ravel().tolist() for key, array in zip(names, found, strict=True)},
        "gradients": [[float(np.linalg.norm(g)), *g[:8].tolist()] for g in parts],
    }


#: one as a program on TensorFlow, where tracing takes ten times as long as computing
ALL = [pytest.param(c, marks=[pytest.mark.compiled] * (c == "repeats")) for c in CASES]


@pytest.mark.parametrize("case", ALL)
def test_this_backend_gives_the_recorded_numbers(case):
    expected, actual = json.loads(EXPECTED.read_text())[case], figures(case)
    for key in ("z", "log_det", "start", "its_log_det"):
        np.testing.assert_allclose(actual[key], expected[key], rtol=1e-4, atol=1e-4, err_msg=key)
    for ours, theirs in zip(actual["gradients"], expected["gradients"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * max(1.0, theirs[0]))


if __name__ == "__main__":
    EXPECTED.write_text(json.dumps({case: figures(case) for case in CASES}) + "\n")
