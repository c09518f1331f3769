"""Parts of all kinds together: every pair of choices is in a model that is trained and used."""

import itertools

import keras
import numpy as np
import pytest

import hvae_core as hvae

pytestmark = pytest.mark.every_backend

CHOICES = {
    "backend": ("jax", "tensorflow", "torch"),
    "convolutions": ("dense", "depthwise5", "group norm"),
    "readout": ("latents", "features"),
    "flow": ("none", "sylvester", "conv-sylvester"),
    "attention": ("none", "davi"),
    "regularizer": ("none", "paths", "exact"),
    "likelihood": ("logistic-mixture", "bernoulli"),
}
#: the fewest found that hold every pair
ROWS = [
    ("jax", "depthwise5", "latents", "none", "davi", "none", "bernoulli"),
    ("jax", "dense", "features", "conv-sylvester", "none", "exact", "bernoulli"),
    ("jax", "group norm", "features", "sylvester", "davi", "paths", "logistic-mixture"),
    ("tensorflow", "dense", "latents", "conv-sylvester", "none", "paths", "logistic-mixture"),
    ("tensorflow", "depthwise5", "features", "sylvester", "davi", "exact", "logistic-mixture"),
    ("tensorflow", "group norm", "features", "conv-sylvester", "davi", "none", "bernoulli"),
    ("tensorflow", "dense", "features", "none", "davi", "paths", "bernoulli"),
    ("torch", "group norm", "features", "sylvester", "davi", "paths", "bernoulli"),
    ("torch", "group norm", "latents", "none", "none", "exact", "logistic-mixture"),
    ("torch", "dense", "latents", "sylvester", "none", "none", "logistic-mixture"),
    ("torch", "depthwise5", "latents", "conv-sylvester", "none", "paths", "logistic-mixture"),
]
SCALES = {"scales": [True, False]}
FLOWS = {
    "none": None,
    "sylvester": {"name": "sylvester", "flows": 2, "orthogonal_vectors": 2, **SCALES},
    "conv-sylvester": {"name": "conv-sylvester", "channels": 2, "levels": 1, "terms": 9, **SCALES},
}


def test_every_pair_of_choices_is_in_a_row():
    rows = [dict(zip(CHOICES, row, strict=True)) for row in ROWS]
    for (a, values), (b, others) in itertools.combinations(CHOICES.items(), 2):
        wanted = set(itertools.product(values, others))
        assert {(row[a], row[b]) for row in rows} == wanted, (a, b)


def configuration(convolutions, readout, flow, attention, regularizer, likelihood):
    model = {
        "resolutions": [4, 1],
        "patch_size": 2,
        "image_channels": 1,
        "width": 8,
        "encoder_middle_width": 8,
        "decoder_middle_width": 8,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "readout": {"kind": readout, "blocks": 1, "width": 8, "middle_width": 8},
        "conv": convolutions if convolutions == "depthwise5" else "dense",
        "norm": "group" if convolutions == "group norm" else "none",
        "flow": FLOWS[flow],
        "attention": attention,
    }
    if regularizer != "none":
        regularizer = {"name": "cr-vae", "mode": regularizer}
    binarization = "dynamic" if likelihood == "bernoulli" else "none"
    return {
        "model": model,
        "likelihood": likelihood,
        "regularizer": regularizer,
        "data": {"name": "digits", "binarization": binarization},
        "train": {
            "steps": 3,
            "optimizer": "sgd",
            "batch_size": 4,
            "warmup_steps": 0,
            "validation_images": 8,
            "ema_decay": 0.5,
            "tensorboard": False,
            "report": False,
            "sample_epochs": 0,
        },
    }


@pytest.mark.parametrize(
    "row", [row[1:] for row in ROWS if row[0] == keras.config.backend()], ids=", ".join
)
def test_it_trains_evaluates_saves_loads_and_samples(row, tmp_path):
    pytest.importorskip("sklearn")
    result = hvae.train(configuration(*row), tmp_path / "run")
    assert result.steps == 3
    assert np.isfinite(result.metrics["elbo"])
    model = hvae.load(tmp_path / "run")
    figures = hvae.evaluate(model, limit=8)
    assert np.isfinite(figures["elbo"])
    model.save(tmp_path / "preset")
    again = hvae.load(tmp_path / "preset")
    assert hvae.evaluate(again, limit=8)["elbo"] == pytest.approx(figures["elbo"], rel=1e-6)
    images = again.sample(3, seed=1)
    assert images.shape == (3, 8, 8, 1)
    np.testing.assert_array_equal(images, model.sample(3, seed=1))
