"""Frozen weights, groups with a learning rate of their own, a model to start from."""

import json

import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.errors import BadInputError, ConfigError, WeightsError
from hvae_core.training.step import build_step
from hvae_core.weights import model_arrays, read_tensors

pytestmark = pytest.mark.every_backend

TRAIN = {
    "batch_size": 4, "steps": 4, "log_steps": 2, "checkpoint_steps": 2, "validation_fraction": 0.0,
    "sample_epochs": 0, "report": False, "tensorboard": False, "learning_rate": 0.01,
    "warmup_steps": 0, "schedule": "constant", "weight_decay": 0.0, "optimizer": "adam",
    "ema_decay": 0.9,
}  # fmt: skip
#: JAX compiles an update for each choice of what is trained
SMALL = {"resolutions": [8, 1], "encoder_blocks": 1, "decoder_blocks": 1}
FREEZE = ["decoder.*.prior", "readout"]


def is_frozen(name):
    return ".prior." in name or name.startswith("readout.")


def updated(make_model, images, updates=2, **options):
    """The step after some updates, and the weights before."""
    model = make_model(model=SMALL, train={**TRAIN, **options})
    before = model_arrays(model)
    step = build_step(model, model.config.train)
    for number in range(updates):
        step(images[:4], step=number, learning_rate=0.01, beta=1.0)
    return step, before


def test_frozen_weights_and_their_averages_are_bit_identical(make_model, images):
    step, before = updated(make_model, images, freeze=FREEZE, weight_decay=0.1)
    for name, array in step.weights().items():
        assert np.array_equal(array, before[name]) == is_frozen(name), name
    averaged = {name.removeprefix("ema.") for name in step.state() if name.startswith("ema.")}
    assert averaged == {name for name in before if not is_frozen(name)}
    kept = sum(v.ndim > 0 for name, v in step.state().items() if name.startswith("optimizer."))
    assert kept == 2 * len(averaged)  # Adam's two moments, of what is trained alone
    with step.ema_weights():
        for name, array in step.weights().items():
            assert np.array_equal(array, before[name]) == is_frozen(name), name


def test_a_group_has_a_learning_rate_and_a_weight_decay(make_model, images):
    """A first step of gradient descent is the learning rate times the gradient."""
    groups = [
        {"weights": ["encoder.*.kernel"], "learning_rate_factor": 0.1, "weight_decay": 0.5},
        {"weights": ["encoder"], "learning_rate_factor": 0.1},
        {"weights": ["readout"], "learning_rate_factor": 3.0},
    ]
    plain = {"updates": 1, "optimizer": "sgd", "ema_decay": 0.0}
    step, before = updated(make_model, images, parameter_groups=groups, **plain)
    alike, _ = updated(make_model, images, **plain)
    usual = alike.weights()
    for name, array in step.weights().items():
        factor = 0.1 if name.startswith("encoder") else 3.0 if name.startswith("readout") else 1.0
        decay = 0.5 if name.startswith("encoder") and name.endswith("kernel") else 0.0
        expected = before[name] * (1 - decay * 0.01 * factor)
        expected = expected + factor * (usual[name] - before[name])
        np.testing.assert_allclose(array, expected, atol=2e-6, err_msg=name)


def test_groups_and_frozen_weights_go_on_from_a_checkpoint(make_model, images):
    options = {
        "freeze": FREEZE,
        "parameter_groups": [{"weights": ["encoder"], "learning_rate_factor": 0.1}],
    }
    whole, _ = updated(make_model, images, updates=2, **options)
    again, _ = updated(make_model, images, updates=0, **options)
    again.load(whole.weights(), whole.state(), "here")
    for step in (whole, again):
        step(images[:4], step=2, learning_rate=0.01, beta=1.0)
    for name, array in whole.weights().items():
        np.testing.assert_array_equal(array, again.weights()[name])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"freeze": ["encodr"]}, r"train\.freeze has 'encodr'.*Did you mean 'encoder'"),
        ({"freeze": ["*"]}, "nothing is left to train"),
        (
            {"parameter_groups": [{"weights": ["encodr"]}]},
            r"train\.parameter_groups\[0\]\.weights has 'encodr'",
        ),
        (
            {"freeze": ["encoder"], "parameter_groups": [{"weights": ["encoder"]}]},
            r"train\.parameter_groups\[0\]\.weights has 'encoder', which names no weight",
        ),
    ],
)
def test_a_pattern_without_a_weight_is_refused(make_model, options, sentence):
    model = make_model(random_weights=False, train={**TRAIN, **options})
    with pytest.raises(ConfigError, match=sentence):
        build_step(model, model.config.train)


def test_one_pattern_need_be_no_list(make_model):
    model = make_model(train={"freeze": "encoder", "parameter_groups": [{"weights": "readout"}]})
    build_step(model, model.config.train)
    assert not any(weight.trainable for weight in model.encoder.weights)


def test_a_model_object_is_trained_on(make_model, images, tmp_path):
    model = make_model(train=TRAIN)
    model.encoder.trainable = False
    model.decoder.layers_by_stage[0][0].prior.trainable = False
    before = model_arrays(model)
    data = np.concatenate([images] * 2)[:8]
    result = hvae.train(model, tmp_path / "run", dataset=data, overrides={"train.steps": 2})
    assert result.steps == 2
    for name, array in model_arrays(model).items():
        np.testing.assert_array_equal(array, before[name])
    assert [v.trainable for v in model.encoder.weights] == [False] * len(model.encoder.weights)
    folder = tmp_path / "run"
    config = hvae.load(folder).config
    assert config.train.freeze == ["encoder", "decoder.blocks.0.prior"]
    for file in ("model", "ema"):
        found = read_tensors(folder / "checkpoints" / "step-00000002" / f"{file}.safetensors")
        for name, array in found.items():
            frozen = name.startswith(("encoder.", "decoder.blocks.0.prior."))
            assert np.array_equal(array, before[name]) == frozen, (file, name)
    session = json.loads((folder / "sessions.jsonl").read_text().splitlines()[0])
    assert session["weights"] == "of a model in memory"


def test_a_model_that_does_not_fit_is_refused(make_model, images, tmp_path):
    model = make_model(random_weights=False, train=TRAIN)
    with pytest.raises(BadInputError, match="give one of them"):
        hvae.train(model, tmp_path / "a", weights=model.save(tmp_path / "preset"), dataset=images)
    with pytest.raises(WeightsError, match="The model that was given does not fit"):
        hvae.train(model, tmp_path / "b", dataset=images, overrides={"model.latent_width": 3})
    assert not (tmp_path / "b").exists()
