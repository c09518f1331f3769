"""The training step with views of each image: pairing, averaging, accounting, resumption."""

import keras
import numpy as np
import pytest
from keras import ops

pytest.importorskip("sklearn")

from hvae_core.backends.compiling import compiled
from hvae_core.config import Config
from hvae_core.data import open_dataset
from hvae_core.runs.metrics import MetricsFile
from hvae_core.training import train
from hvae_core.training.callbacks import Callback
from hvae_core.training.feeding import open_images
from hvae_core.training.step import build_step
from hvae_core.vae import HierarchicalVAE
from hvae_core.weights import read_tensors

pytestmark = pytest.mark.every_backend

MODEL = {
    "resolutions": [8, 2, 1],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 4,
    "decoder_middle_width": 4,
    "latent_width": 2,
    "encoder_blocks": [1, 0, 1],
    "decoder_blocks": [0, 1, 1],
    "readout": {"width": 4, "middle_width": 4, "blocks": 0},
}
PIXELS = 64
#: what is told here is the loss, not how weights are updated
PLAIN = {"optimizer": "sgd", "weight_decay": 0, "ema_decay": 0.0}


def configuration(regularizer=None, model=None, **train):
    return Config.model_validate(
        {
            "model": {**MODEL, **(model or {})},
            "likelihood": {"name": "logistic-mixture", "mixtures": 1, "levels": 17},
            "regularizer": None if regularizer is None else {"name": "cr-vae", **regularizer},
            "data": "digits",
            "train": {"batch_size": 8, "steps": 10, **PLAIN, **train},
        }
    )


def make(regularizer=None, **train):
    config = configuration(regularizer, **train)
    model = HierarchicalVAE(config)
    rng = np.random.default_rng(4)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.7, value.shape).astype("f"))
    return model, build_step(model, config.train, open_images(config).regularizer)


def update(step, images, beta=1.0, rate=0.0):
    figures = step(images, step=3, learning_rate=rate, beta=beta)
    return {key: np.asarray(ops.convert_to_numpy(value)) for key, value in figures.items()}


@pytest.fixture(scope="module")
def images():
    config = configuration()
    return open_images(config).training_batches(config).batch(0).images


@pytest.fixture(scope="module")
def plain():
    return make()


@pytest.fixture(scope="module")
def step():
    return make({"weight": 0.5})[1]


def views_of(step, images):
    return step.objective.regularizer.views(images, np.random.default_rng(0))


def test_an_image_and_its_copy_share_their_noise_pairwise():
    """Rows i and i + B, not the neighbours 2 i and 2 i + 1."""
    plain, shared, own = (
        ops.convert_to_numpy(make(options)[1]._draw(rows, 5))
        for options, rows in ((None, 8), ({}, 16), ({"shared_noise": False}, 16))
    )
    np.testing.assert_array_equal(shared[8:], shared[:8])
    assert np.abs(shared[0] - shared[1]).min() > 0
    assert np.abs(own[8:] - own[:8]).min() > 0
    for drawn in (shared, own):  # what a run without copies has
        np.testing.assert_array_equal(drawn[:8], plain)


def test_the_reported_bound_is_that_of_the_images_without_regularizer(plain, step, images):
    expected, got = update(plain[1], images), update(step, views_of(step, images))
    for key in ("rate", "distortion", "kl_per_layer"):
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-4)
    assert "regularizer" not in expected
    assert got["regularizer"] > 0


def test_the_loss_is_both_bounds_and_the_weighted_term_per_image(plain, step, images):
    """Beta weights both images' KL and not the term."""
    views, model = views_of(step, images), plain[0]
    noise = ops.convert_to_numpy(step._draw(16, 3))
    layers = [
        piece.reshape(16, *shape)
        for piece, shape in zip(np.split(noise, [2], axis=1), model.latent_shapes, strict=True)
    ]
    plain[1].sync()
    bound = model.elbo(views, noise=layers)
    terms = []
    for beta in (1.0, 0.25):
        got = update(step, views, beta)
        both = (beta * bound.kl - bound.log_likelihood).sum() / 8 / PIXELS
        assert got["loss"] == pytest.approx(both + got["regularizer"], rel=1e-4)
        terms.append(float(got["regularizer"]))
    assert terms[0] == pytest.approx(terms[1], rel=1e-5)
    config = configuration({"weight": 1.0})
    whole = config.regularizer.build(open_dataset(config.data), 17)
    term = compiled(lambda x, *noise: whole.penalty(model.infer(x, noise), model), model.variables)
    unweighted = ops.convert_to_numpy(term(*map(ops.convert_to_tensor, (views, *layers))))
    assert terms[0] == pytest.approx(0.5 * unweighted.mean() / PIXELS, rel=1e-4)


def test_an_image_beside_itself_counts_twice_and_has_no_term(plain, step, images):
    expected, got = update(plain[1], images), update(step, np.concatenate([images, images]))
    assert got["loss"] == pytest.approx(2 * expected["loss"], rel=1e-4)
    assert got["regularizer"] == pytest.approx(0, abs=1e-6)


def test_micro_batches_hold_pairs(images):
    """Accumulated over two parts, loss, term and update are the whole batch's."""
    results = []
    for accumulate in (1, 2):
        model, step = make({"weight": 2.0, "mode": "exact"}, accumulate=accumulate)
        figures = update(step, views_of(step, images), rate=1e-2)
        step.sync()
        values = [ops.convert_to_numpy(v.value) for v in model.trainable_variables]
        results.append((figures, values))
    (whole, ends), (parts, others) = results
    for key in ("loss", "rate", "regularizer", "gradient_norm"):
        np.testing.assert_allclose(parts[key], whole[key], rtol=1e-4)
    for one, other in zip(ends, others, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


class Killed(BaseException):
    """Ends a run as a signal that cannot be caught does: nothing more is written."""


class Kill(Callback):
    def update(self, run, figures):
        if run.step >= 5:
            raise Killed


@pytest.mark.skipif(keras.config.backend() != "torch", reason="test_loop resumes with each backend")
def test_a_killed_run_with_all_parts_resumes_to_the_same_numbers(tmp_path):
    """Flow, attention, consistency, averaged weights and accumulation."""
    options = {"batch_size": 320, "steps": 6, "optimizer": "adamw", "validation_fraction": 0}
    options |= {"checkpoint_steps": 2, "log_steps": 2, "sample_epochs": 0, "tensorboard": False}
    flow = {"name": "sylvester", "flows": 1, "orthogonal_vectors": 2, "scales": [False, True, True]}
    config = configuration(
        {"shared_noise": False},
        {"flow": flow, "attention": {"name": "davi", "query_width": 2}, "encoder_blocks": 0},
        **options,
        learning_rate=1e-2,
        ema_decay=0.5,
        accumulate=2,
    )
    train(config, tmp_path / "unbroken")
    with pytest.raises(Killed):
        train(config, tmp_path / "killed", callbacks=[Kill()])
    train(config, tmp_path / "killed", resume=True)
    unbroken, resumed = (
        MetricsFile(tmp_path / name / "metrics.jsonl").read() for name in ("unbroken", "killed")
    )
    assert [row["step"] for row in resumed] == [row["step"] for row in unbroken]
    # Four updates an epoch: copies count neither as images nor for its length.
    assert [row["step"] for row in unbroken if row["event"] == "epoch"] == [4, 6]
    assert unbroken[-1]["images"] == 6 * 320
    for one, other in zip(unbroken, resumed, strict=True):
        for key in ("loss", "rate", "distortion", "regularizer", "gradient_norm", "kl_per_layer"):
            np.testing.assert_allclose(other[key], one[key], rtol=1e-5, atol=1e-7, err_msg=key)
    assert unbroken[-1]["regularizer"] > 0
    averaged, again = (
        read_tensors(tmp_path / name / "checkpoints" / "step-00000006" / "ema.safetensors")
        for name in ("unbroken", "killed")
    )
    assert averaged.keys() == again.keys()
    for key, value in averaged.items():
        np.testing.assert_allclose(again[key], value, rtol=1e-5, atol=1e-7, err_msg=key)
