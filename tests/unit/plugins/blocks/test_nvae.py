"""NVAE's cell against its equations in NumPy."""

import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.config.loading import create_component
from hvae_core.interfaces import BlockShape

pytestmark = pytest.mark.every_backend

SIDE = 4


def cell(width=8, out_width=8, residual=True, resolution=SIDE, **options):
    """A cell with weights far from their start."""
    shape = BlockShape(
        resolution=resolution, in_width=width, middle_width=3, out_width=out_width,
        residual=residual,
    )  # fmt: skip
    block = create_component("block", {"name": "nvae", **options}).build(shape, name="block")
    block.build((None, resolution, resolution, width))
    rng = np.random.default_rng(0)
    for weight in block.weights:
        weight.assign(rng.normal(0.0, 0.3, weight.shape).astype("float32"))
    return block


def weights(block):
    return {w.path.partition("/")[2]: ops.convert_to_numpy(w.value) for w in block.weights}


def silu(x):
    return x / (1.0 + np.exp(-x))


def depthwise(x, kernel):
    size = kernel.shape[0]
    padded = np.pad(x, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    return sum(
        padded[:, i : i + SIDE, j : j + SIDE] * kernel[i, j, :, 0]
        for i in range(size)
        for j in range(size)
    )


@pytest.mark.parametrize("squeeze", [0, 2])
def test_a_residual_cell_is_its_equations(squeeze):
    block = cell(expansion=2, kernel_size=3, squeeze=squeeze, residual_scale=0.5)
    w = weights(block)
    x = np.random.default_rng(1).normal(size=(2, SIDE, SIDE, 8)).astype("float32")
    h = silu(x) @ w["expand/kernel"][0, 0] + w["expand/bias"]
    h = depthwise(silu(h), w["depthwise/kernel"]) + w["depthwise/bias"]
    h = silu(h) @ w["project/kernel"][0, 0] + w["project/bias"]
    if squeeze:
        mean = h.mean((1, 2), keepdims=True)
        hidden = np.maximum(mean @ w["squeeze/kernel"][0, 0] + w["squeeze/bias"], 0.0)
        h = h / (1.0 + np.exp(-(hidden @ w["excite/kernel"][0, 0] + w["excite/bias"])))
    got = ops.convert_to_numpy(block(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(got, x + 0.5 * h, atol=1e-4)


def test_widths_and_kernels():
    wide = weights(cell(width=8, out_width=32, residual=False))
    assert wide["expand/kernel"].shape == (1, 1, 8, 48)
    assert wide["depthwise/kernel"].shape == (5, 5, 48, 1)
    assert wide["project/kernel"].shape == (1, 1, 48, 32)
    assert "squeeze/kernel" not in wide  # it gives a distribution's parameters
    gated = weights(cell(width=128, out_width=128, expansion=1))
    assert gated["squeeze/kernel"].shape == (1, 1, 128, 8)
    assert weights(cell())["squeeze/kernel"].shape == (1, 1, 8, 4)
    assert weights(cell(expansion=None))["expand/kernel"].shape == (1, 1, 8, 3)
    assert weights(cell(resolution=2))["depthwise/kernel"].shape == (1, 1, 48, 1)


def test_a_model_of_cells_is_used_as_any():
    options = {
        "resolutions": [4, 1], "image_channels": 1, "width": 4, "latent_width": 2,
        "encoder_blocks": 1, "decoder_blocks": 1, "block": {"name": "nvae", "expansion": 2},
        "readout": {"width": 4, "middle_width": 4, "blocks": 1},
    }  # fmt: skip
    model = hvae.build({"model": options})
    assert model.sample(2, seed=0).shape == (2, 4, 4, 1)
