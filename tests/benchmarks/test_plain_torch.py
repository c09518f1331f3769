"""The plain PyTorch model that benchmarks compare with is the same model."""

import argparse
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(keras.config.backend() != "torch", reason="both are PyTorch's")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_both_compute_the_same_bound(monkeypatch):
    """Of the configuration that the comparisons take by default, narrower."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from comparison import TOLERANCE, configuration
    from worker import agreement

    asked = argparse.Namespace(preset=None, size=4, batch=2, precision="float32", options=[])
    config = configuration(asked)
    images = np.random.default_rng(0).integers(0, 256, (2, *config.model.image_shape), np.uint8)
    assert agreement(config, images) < TOLERANCE / 10
