import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.config import Config
from hvae_core.errors import ConfigError
from hvae_core.training.step import build_step
from hvae_core.vae import HierarchicalVAE

pytestmark = pytest.mark.every_backend

MODEL = {
    "resolutions": [4, 1],
    "image_channels": 1,
    "width": 8,
    "encoder_middle_width": 4,
    "decoder_middle_width": 4,
    "latent_width": 2,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "readout": {"width": 8, "middle_width": 4, "blocks": 0},
}
#: where it matters neither how weights are updated nor that it is one program
PLAIN = {"optimizer": "sgd", "ema_decay": 0.0}
#: the options' own
USUAL = {"optimizer": "adamax", "ema_decay": 0.999, "compile": True}
#: a model of one layer: JAX compiles each operation of an eager update
SMALLEST = {**MODEL, "resolutions": [2], "patch_size": 2, "encoder_blocks": 0}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1)).astype(np.uint8)


def make(model=MODEL, **train):
    config = Config.model_validate(
        {
            "model": model,
            "likelihood": {"name": "logistic-mixture", "mixtures": 2},
            "train": {"batch_size": 8, "steps": 10, **PLAIN, **train},
        }
    )
    model = HierarchicalVAE(config)
    return model, build_step(model, config.train)


def run(step, images, count, start=0, rate=1e-2):
    return [
        {
            k: ops.convert_to_numpy(v)
            for k, v in step(images, step=i, learning_rate=rate, beta=1.0).items()
        }
        for i in range(start, start + count)
    ]


def weights(model, step):
    step.sync()
    return [ops.convert_to_numpy(v.value).copy() for v in model.trainable_variables]


@pytest.mark.compiled
def test_the_loss_falls_and_its_parts_add_up(images):
    _, step = make(**USUAL)
    figures = run(step, images, 40)
    assert figures[-1]["loss"] < figures[0]["loss"] - 0.1
    for row in figures:
        assert row["loss"] == pytest.approx(row["distortion"] + row["rate"], rel=1e-5)
        assert row["kl_per_layer"].sum() / 16 == pytest.approx(row["rate"], rel=1e-4)


@pytest.mark.compiled
def test_compiled_equals_eager(images):
    figures = [
        run(make(SMALLEST, compile=flag, ema_decay=0.9)[1], images, 3)[-1] for flag in (True, False)
    ]
    for key in figures[0]:
        np.testing.assert_allclose(figures[0][key], figures[1][key], rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(keras.config.backend() != "torch", reason="others compile")
@pytest.mark.parametrize("remat", [False, True])
def test_a_replayed_step_has_the_bits_of_the_step_as_it_is(remat, images, monkeypatch):
    monkeypatch.setattr("hvae_core.backends.capturing.CALLS_BEFORE_RECORDING", 3)
    options = {"accumulate": 2, "kl_balancing_steps": 2, "ema_decay": 0.9, "remat": remat}
    found = []
    for compiles in (True, False):
        model, step = make(compile=compiles, **options)
        found.append((run(step, images, 4), weights(model, step)))
        if compiles:
            assert list(step._gradients._replayed.values()) == [True]
    np.testing.assert_equal(found[0], found[1])


@pytest.mark.skipif(keras.config.backend() == "torch", reason="PyTorch has it")
def test_inductor_is_pytorch_s():
    with pytest.raises(ConfigError, match=r"train\.compile is inductor, which is PyTorch's"):
        make(SMALLEST, compile="inductor")


def test_accumulated_micro_batches_equal_the_whole_batch(images):
    results = []
    for accumulate in (1, 4):
        model, step = make(accumulate=accumulate, optimizer="sgd", weight_decay=0)
        run(step, images, 2)
        results.append(weights(model, step))
    for whole, parts in zip(*results, strict=True):
        np.testing.assert_allclose(whole, parts, atol=2e-5)


def test_rematerialised_blocks_are_updated_alike(images):
    found = []
    for remat in (False, True):
        model, step = make({**SMALLEST, "encoder_blocks": 1}, remat=remat)
        run(step, images, 1)
        found.append(weights(model, step))
    for plain, again in zip(*found, strict=True):
        np.testing.assert_allclose(plain, again, atol=1e-6)


def test_state_and_weights_restored_go_on_to_the_same_numbers(images):
    model, step = make(ema_decay=0.9, optimizer="adamax")
    run(step, images, 3)
    state, held = step.state(), weights(model, step)
    expected = run(step, images, 3, start=3)

    other, resumed = make(ema_decay=0.9, optimizer="adamax")
    for variable, value in zip(other.trainable_variables, held, strict=True):
        variable.assign(value)
    resumed.load_state(state)
    for old, new in zip(expected, run(resumed, images, 3, start=3), strict=True):
        assert new["loss"] == pytest.approx(old["loss"], rel=1e-6)
    for a, b in zip(weights(model, step), weights(other, resumed), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_beta_weights_the_rate(images):
    _, step = make(optimizer="sgd")
    run(step, images, 5)
    row = {
        k: float(v)
        for k, v in step(images, step=5, learning_rate=0.0, beta=0.25).items()
        if k != "kl_per_layer"
    }
    assert row["loss"] == pytest.approx(row["distortion"] + 0.25 * row["rate"], rel=1e-5)


def test_ema_weights_are_put_in_and_taken_out(images):
    model, step = make(ema_decay=0.5, ema_warmup=False)
    before = weights(model, step)
    run(step, images, 1)
    after = weights(model, step)
    with step.ema_weights():
        averaged = [ops.convert_to_numpy(v.value).copy() for v in model.trainable_variables]
    for start, end, mean in zip(before, after, averaged, strict=True):
        np.testing.assert_allclose(mean, 0.5 * start + 0.5 * end, atol=1e-6)
    for end, now in zip(after, weights(model, step), strict=True):
        np.testing.assert_array_equal(end, now)


@pytest.mark.compiled
def test_bfloat16_trains_and_keeps_float32_weights(images):
    model, step = make(precision="mixed_bfloat16", optimizer="adamax", compile=True)
    figures = run(step, images, 40)
    assert figures[-1]["loss"] < figures[0]["loss"] - 0.1
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert model.encoder.compute_dtype == "bfloat16"


@pytest.mark.compiled
def test_free_bits_count_in_the_loss_and_not_in_the_reported_rate(images):
    free = 3.0
    _, step = make(free_bits=free, **USUAL)
    below = False
    for row in run(step, images, 5):
        layers = row["kl_per_layer"]
        floored = np.maximum(layers, free)
        assert row["loss"] == pytest.approx(row["distortion"] + floored.sum() / 16, rel=1e-4)
        assert row["rate"] == pytest.approx(layers.sum() / 16, rel=1e-4)
        below = below or bool((layers < free).any())
    assert below


@pytest.mark.compiled
def test_free_bits_bring_layers_into_use_that_hold_nothing(images):
    held = []
    for free in (0.0, 2.0):
        _, step = make(free_bits=free, **USUAL)
        held.append(run(step, images, 60, rate=3e-2)[-1]["kl_per_layer"].sum())
    assert held[1] > 5 * held[0]


def test_kl_balancing_changes_the_gradient_then_stops_and_not_the_reported_rate(images):
    model, step = make(kl_balancing_steps=5, optimizer="sgd", beta_1=0.0, weight_decay=0)
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:  # so that no layer's KL is 0
        value = ops.convert_to_numpy(weight.value)
        weight.assign(value + rng.normal(0, 0.2, value.shape).astype("float32"))
    noise = rng.normal(size=(8, step.noise_size)).astype("float32")
    balanced, plain, later = (
        step(images, step=number, learning_rate=0.0, beta=1.0, noise=noise) for number in (4, 5, 6)
    )
    norms = [float(figures["gradient_norm"]) for figures in (balanced, plain, later)]
    assert abs(norms[0] - norms[1]) > 1e-3 * norms[1]
    assert norms[1] == pytest.approx(norms[2], rel=1e-6)
    for figures in (balanced, plain):
        layers = ops.convert_to_numpy(figures["kl_per_layer"])
        assert float(figures["rate"]) == pytest.approx(layers.sum() / 16, rel=1e-4)
    assert float(balanced["rate"]) == pytest.approx(float(plain["rate"]), rel=1e-6)
