"""The original's configurations in our terms."""

import pytest

from hvae_core.config import parse_config
from hvae_core.errors import ConfigError
from hvae_core.zoo import find_preset, list_presets
from hvae_plugins.importers.openai_vdvae.configurations import (
    decoder_blocks,
    encoder_blocks,
    translate,
)

CIFAR10 = {
    "dataset": "cifar10",
    "width": 384,
    "enc_blocks": "32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3",
    "dec_blocks": "1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21",
}


def test_the_blocks_of_an_encoder():
    assert encoder_blocks(CIFAR10["enc_blocks"]) == {32: 12, 16: 7, 8: 7, 4: 4, 1: 3}
    assert encoder_blocks("8,8d4") == {8: 2, 2: 0}


def test_the_blocks_of_a_decoder():
    assert decoder_blocks(CIFAR10["dec_blocks"], [32, 16, 8, 4, 1]) == {
        32: (22, 0), 16: (11, 0), 8: (6, 0), 4: (3, 0), 1: (1, 0),
    }  # fmt: skip
    # a block may come before the one that mixes, and a scale may have none
    assert decoder_blocks("1x1,8x2,8m1", [8, 4, 1]) == {8: (3, 2), 4: (0, 0), 1: (1, 0)}


def test_widths_and_options_reach_the_model():
    config = parse_config(
        translate({**CIFAR10, "custom_width_str": "4:400,1:800", "no_bias_above": 8, "zdim": 3})
    )
    assert [stage.width for stage in config.model.stages] == [384, 384, 384, 400, 800]
    assert [stage.encoder_middle_width for stage in config.model.stages] == [96, 96, 96, 100, 200]
    assert [stage.learned_bias for stage in config.model.stages] == [False, False, True, True, True]
    assert config.model.latent_shapes[0] == (1, 1, 3)
    assert config.train.decay_all_weights


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"enc_blocks": "32x2,16x1"}, "'16x1' where the resolution is 32"),
        ({"enc_blocks": "32y2"}, "'32y2'"),
        ({"enc_blocks": "32d3"}, "'32d3'"),
        ({"enc_blocks": None}, "'enc_blocks'"),
        ({"enc_blocks": "16x1,16d4,4d4,1x1"}, "starts at 16"),
        ({"dec_blocks": "1x1,5m1"}, "'5m1'"),
        ({"dec_blocks": "1x1,4x2"}, "into scale 4"),
        ({"dec_blocks": "4x1,1x1"}, "'1x1' after a finer scale"),
        ({"dec_blocks": "1x1,4m1,8m1"}, "'8m1'"),
        ({"dec_blocks": "1x1,4m1,4m1"}, "'4m1'"),
        ({"dataset": "cifar"}, "cifar10"),
        ({"custom_width_str": "4=400"}, "'4=400'"),
        ({"width": "wide"}, "width is 'wide'"),
        ({"width": 1e999}, "width is inf; expected a finite number"),
        ({"warmup_iters": None}, "warmup_iters is empty; expected a whole number"),
        ({"lr": "1.5e-4"}, "lr is '1.5e-4'; expected a number"),
        ({"n_batch": 2.5}, "n_batch is 2.5; expected a whole number"),
        ({"grad_clip": float("nan")}, "grad_clip is nan; expected a finite number"),
        ({"bottleneck_multiple": "a"}, "bottleneck_multiple is 'a'; expected a number"),
        ({"bottleneck_multiple": 1e308}, "bottleneck_multiple is 1e+308; expected a finite"),
        ({"skip_threshold": [1]}, "skip_threshold is [1]; expected a number"),
        ({"custom_width_str": 3}, "custom_width_str is 3; expected a text of parts such as"),
        ({"custom_width_str": "4:" + "9" * 5000}, "custom_width_str has '4:999"),
        ({"enc_blocks": "32x" + "9" * 5000}, "enc_blocks has '32x999"),
    ],
)
def test_what_cannot_be_expressed_is_named(change, named):
    with pytest.raises(ConfigError) as caught:
        translate({**CIFAR10, **change})
    assert named in str(caught.value)
    assert len(str(caught.value)) < 300


def test_the_original_s_training_options_are_taken_over():
    options = {"lr": 3e-4, "warmup_iters": 100.0, "n_batch": 8, "skip_threshold": -1, "wd": 0.01}
    train = parse_config(translate({**CIFAR10, **options})).train
    assert (train.learning_rate, train.warmup_steps, train.batch_size) == (3e-4, 100, 8)
    assert (train.skip_norm, train.weight_decay) == (0.0, 0.01)


@pytest.mark.parametrize("name", list_presets("openai-*"))
def test_a_preset_trains_by_the_rules_that_all_networks_of_the_original_have(name):
    original, preset = parse_config(translate(CIFAR10)).train, find_preset(name).config.train
    for key in ("optimizer", "decay_all_weights", "ema_warmup", "schedule", "skip_start_step"):
        assert getattr(preset, key) == getattr(original, key), key
    assert not preset.ema_warmup
