import shutil

import numpy as np
import pytest

from hvae_core.data.idx import read_idx_images
from hvae_core.errors import DataError, DownloadError
from hvae_plugins.datasets import mnist
from hvae_plugins.datasets.mnist import Mnist, MnistConfig

TRAIN = "train-images-idx3-ubyte.gz"


@pytest.fixture
def root(fixtures_folder):
    return str(fixtures_folder / "mnist")


def test_padding_and_grey(root):
    dataset = Mnist(MnistConfig(root=root, binarization="none"))
    source = dataset.load("train")
    assert len(source) == 24
    assert source.shape == dataset.shape == (32, 32, 1)
    raw = read_idx_images(mnist.Path(root) / TRAIN)
    np.testing.assert_array_equal(source.images[:, 2:30, 2:30], raw)
    assert source.images.sum() == raw.sum()
    assert Mnist(MnistConfig(root=root, padding=0)).load("test").shape == (28, 28, 1)


def test_binarizations(root):
    rng = np.random.default_rng(0)

    def load(kind):
        dataset = Mnist(MnistConfig(root=root, binarization=kind))
        return dataset, dataset.load("train").images

    _, grey = load("none")
    dynamic, images = load("dynamic")
    np.testing.assert_array_equal(images, grey)
    one, two = dynamic.transform(images, rng, False), dynamic.transform(images, rng, True)
    assert set(np.unique(one)) == {0, 255}
    assert (one != two).any()
    for kind in ("static", "threshold"):
        dataset, images = load(kind)
        assert set(np.unique(images)) == {0, 255}
        np.testing.assert_array_equal(images, load(kind)[1])
        np.testing.assert_array_equal(dataset.transform(images, rng, True), images)
    np.testing.assert_array_equal(load("threshold")[1], (grey >= 128) * np.uint8(255))


def test_near_exact_only_when_asked_for(root, tmp_path):
    shutil.copy(mnist.Path(root) / TRAIN, tmp_path / "train-images-idx3-ubyte.near-exact.gz")
    with pytest.raises(DataError, match="not canonical") as caught:
        Mnist(MnistConfig(root=str(tmp_path))).load("train")
    assert "data.near_exact=true" in caught.value.hint
    assert len(Mnist(MnistConfig(root=str(tmp_path), near_exact=True)).load("train")) == 24


def test_missing_file_is_named_and_not_downloaded(tmp_path):
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz is missing"):
        Mnist(MnistConfig(root=str(tmp_path))).load("test")


def test_the_wrong_idx_file(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(
        bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4])
    )
    with pytest.raises(DataError, match="2x2 pixels; MNIST's are 28x28"):
        Mnist(MnistConfig(root=str(tmp_path))).load("test")


def test_offline_says_so(monkeypatch):
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    with pytest.raises(DownloadError, match="HVAE_OFFLINE"):
        Mnist(MnistConfig()).load("test")


@pytest.mark.needs_shared
def test_the_real_test_images(shared_folder):
    root = shared_folder / "data" / "mnist"
    if not root.is_dir():
        pytest.skip("no MNIST here")
    dataset = Mnist(MnistConfig(root=str(root), binarization="none", padding=0, near_exact=True))
    test = dataset.load("test")
    assert len(test) == 10_000
    assert test.images.mean() == pytest.approx(33.791, abs=1e-2)
    assert len(dataset.load("train")) == 60_000
