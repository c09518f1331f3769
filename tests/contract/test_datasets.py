from pathlib import Path

import numpy as np
import pytest

from hvae_core.plugins.testing import DatasetContract

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
MNIST, CIFAR10 = str(FIXTURES / "mnist"), str(FIXTURES / "cifar10")


class TestMnist(DatasetContract):
    spec = "dataset.mnist"
    configs = (
        {"root": MNIST},
        {"root": MNIST, "padding": 0, "binarization": "none"},
        {"root": MNIST, "binarization": "static"},
    )
    complete = False


class TestDigits(DatasetContract):
    spec = "dataset.digits"
    configs = ({}, {"binarization": "dynamic"})

    @pytest.fixture(autouse=True)
    def _needs_scikit_learn(self):
        pytest.importorskip("sklearn")


class TestArrays(DatasetContract):
    spec = "dataset.arrays"
    configs = (
        {"files": {"train": "images.npy"}},
        {"files": {"test": "images.npy"}, "flip": True, "binarization": "dynamic"},
    )

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path, monkeypatch):
        images = np.random.default_rng(0).integers(0, 256, (60, 4, 6, 3), dtype=np.uint8)
        np.save(tmp_path / "images.npy", images)
        monkeypatch.chdir(tmp_path)


class TestCifar10(DatasetContract):
    spec = "dataset.cifar10"
    configs = ({"root": CIFAR10}, {"root": CIFAR10, "flip": True})
    complete = False

    @pytest.fixture(autouse=True)
    def _needs_pyarrow(self):
        pytest.importorskip("pyarrow")
