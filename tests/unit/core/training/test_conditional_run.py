"""A run on images, measurements and labels that goes on from a checkpoint."""

import json
import shutil

import numpy as np
import pytest
from tiny import TINY

import hvae_core as hvae
from hvae_core.inference.arguments import example_conditions
from hvae_core.weights import model_arrays

pytest.importorskip("sklearn")

OPTIONS = {
    "data": "digits",
    "measurement": "columns:0.5,fill=0",
    "model.input_channels": 2,
    "model.condition": {"name": "label", "classes": 10, "width": 4, "dropout": 0.5},
    "train.steps": 4,
    "train.log_steps": 1,
    "train.checkpoint_steps": 2,
    "train.warmup_steps": 0,
    "train.optimizer": "adam",
    "train.ema_decay": 0.5,
    "train.validation_images": 8,
    "train.sample_epochs": 0,
    "train.tensorboard": False,
    "train.report": False,
}


def losses(folder):
    records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(r["step"], r["loss"], r["kl_per_layer"]) for r in records if r["event"] == "step"]


def test_a_resumed_run_sees_the_labels_and_measurements_of_an_unbroken_one(tmp_path):
    whole, again = tmp_path / "whole", tmp_path / "again"
    result = hvae.train(TINY, whole, overrides=OPTIONS)
    assert result.metrics["images"] == 8
    shutil.copytree(whole, again)
    shutil.rmtree(again / "checkpoints" / "step-00000004")
    hvae.train(TINY, again, overrides=OPTIONS, resume=True)
    assert losses(again) == losses(whole)
    ours, theirs = (model_arrays(hvae.load(folder)) for folder in (whole, again))
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    # Which labels are hidden is drawn anew for each update, and all weights of the condition move.
    moved = [array for name, array in ours.items() if "condition" in name.split(".")]
    assert all(np.abs(array).max() > 0 for array in moved)
    model = hvae.load(again)
    assert model.condition_values.names == tuple("0123456789")
    figures = hvae.evaluate(model, limit=4)
    assert figures["images"] == 4


def test_a_run_shows_its_model_under_numbers_of_its_images(tmp_path):
    """Not under "none is known", which a model without dropout was never trained with."""
    rng = np.random.default_rng(0)
    years = rng.integers(1990, 2020, (24, 1)).astype(np.float32)
    images = rng.integers(0, 17, (24, 8, 8, 1)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images, years=years)
    options = {
        **{key: value for key, value in OPTIONS.items() if key.startswith("train.")},
        "data": {"name": "arrays", "files": str(tmp_path / "a.npz"), "key": "images",
                 "condition": "years", "split_by": "position"},
        "model.condition": {"name": "vector", "size": 1, "scale": [10.0]},
        "likelihood.levels": 256,
        "train.sample_epochs": 1,
    }  # fmt: skip
    hvae.train(TINY, tmp_path / "run", overrides=options)
    model = hvae.load(tmp_path / "run")
    (typical,) = model.condition_values.typical
    assert 1990 < typical < 2020
    given = example_conditions(model, 2)
    np.testing.assert_array_equal(given, [[typical], [typical]])
    assert list((tmp_path / "run" / "samples").glob("*.png"))
    drawn = model.sample(2, seed=0, condition=given)
    assert not np.array_equal(drawn, model.sample(2, seed=0, condition=[np.nan]))
