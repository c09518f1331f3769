import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.config import parse_config
from hvae_core.training.memory import estimate_memory
from hvae_core.vae import HierarchicalVAE

CONFIG = {
    "model": {
        "resolutions": [8, 4, 1],
        "image_channels": 1,
        "width": 32,
        "encoder_middle_width": 16,
        "decoder_middle_width": 16,
        "latent_width": 4,
        "encoder_blocks": 2,
        "decoder_blocks": 3,
        "readout": {"width": 16, "middle_width": 8, "blocks": 2},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 5},
    "train": {"batch_size": 8},
}


def estimate(parameters=1000, **train):
    config = parse_config({**CONFIG, "train": {**CONFIG["train"], **train}})
    return estimate_memory(config, parameters, 15)


def test_the_state_is_weights_gradient_moments_and_averages():
    assert estimate().state == 4 * 1000 * 5
    assert estimate(optimizer="sgd", ema_decay=0).state == 4 * 1000 * 3


def test_micro_batches_and_half_precision_keep_less():
    whole = estimate().activations
    assert estimate(accumulate=4).activations == whole // 4
    assert whole / 2 < estimate(precision="mixed_bfloat16").activations < 0.7 * whole


def test_rematerialised_scales_keep_what_enters_a_block():
    none, coarse, finest, all_three = (
        estimate(remat=remat).activations
        for remat in (False, [False, True, True], [True, False, False], True)
    )
    assert none > coarse > finest > all_three
    # the largest block, which is computed again, is one of the finest scale
    assert all_three < 0.6 * none


@pytest.mark.skipif(keras.config.backend() != "torch", reason="PyTorch tells what its graph keeps")
@pytest.mark.parametrize(
    ("readout", "train"),
    [
        ("latents", {}), ("features", {}), ("latents", {"precision": "mixed_bfloat16"}),
        ("features", {"precision": "mixed_bfloat16"}),
    ],
)  # fmt: skip
def test_the_estimate_is_near_what_a_graph_keeps(readout, train):
    import torch

    values = {**CONFIG, "model": {**CONFIG["model"], "readout": {"kind": readout}}}
    values["train"] = {**CONFIG["train"], **train}
    config = parse_config(values)
    model = HierarchicalVAE(config)
    weights = {v.value.untyped_storage().data_ptr() for v in model.variables}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    noise = [ops.zeros((8, *shape)) for shape in model.latent_shapes]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model.infer(ops.convert_to_tensor(np.zeros((8, 8, 8, 1), np.uint8)), noise)
        loss = ops.mean(out.kl - out.log_likelihood)
    assert loss.requires_grad
    measured = sum(size for size, _ in kept.values())
    expected = estimate_memory(config, model.count_params(), model.likelihood.parameters)
    assert expected.activations == pytest.approx(measured, rel=0.25)
