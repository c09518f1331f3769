from pathlib import Path

import pytest

from hvae_core.plugins.testing import DatasetContract

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


class TestDigits(DatasetContract):
    spec = "dataset.digits"
    configs = ({}, {"binarization": "dynamic"}, {"binarization": "static"})

    @pytest.fixture(autouse=True)
    def _needs(self):
        pytest.importorskip("sklearn")


class TestMnist(DatasetContract):
    spec = "dataset.mnist"
    configs = ({"root": str(FIXTURES / "mnist")}, {"root": str(FIXTURES / "mnist"), "padding": 0})


class TestCifar10(DatasetContract):
    spec = "dataset.cifar10"
    configs = ({"root": str(FIXTURES / "cifar10")},)

    @pytest.fixture(autouse=True)
    def _needs(self):
        pytest.importorskip("pyarrow")


class TestImageFolder(DatasetContract):
    spec = "dataset.image-folder"

    @pytest.fixture
    def config(self, tmp_path):
        import numpy as np
        from PIL import Image

        rng = np.random.default_rng(0)
        for number in range(12):
            pixels = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{number:02d}.png")
        return {"root": str(tmp_path), "size": 8, "test_fraction": 0.25}

    def pytest_generate_tests(self, metafunc):
        """The configuration needs a folder, so it is a fixture here."""
