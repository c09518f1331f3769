import numpy as np
import pytest
from PIL import Image

from hvae_core.errors import DataError
from hvae_plugins.datasets import downsampled_imagenet, imagenet32, imagenet64
from hvae_plugins.datasets.downsampled_imagenet import DownsampledImageNetConfig


def open_set(root, side=32, **options):
    module = {32: imagenet32, 64: imagenet64}[side]
    return module.build(DownsampledImageNetConfig(root=str(root), **options))


def planes(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)


def test_npz(tmp_path, images, monkeypatch):
    monkeypatch.setattr(downsampled_imagenet, "_CHUNK", 2)
    for number in range(1, 11):
        part = images[3 * number - 3 : 3 * number]
        folder = tmp_path / ("part1" if number < 6 else "part2")
        folder.mkdir(exist_ok=True)
        np.savez(folder / f"train_data_batch_{number}.npz", data=planes(part), labels=[1, 2, 3])
    np.savez(tmp_path / "val_data.npz", data=planes(images[:4]))
    dataset = open_set(tmp_path)
    np.testing.assert_array_equal(dataset.load("train").images, images)
    np.testing.assert_array_equal(dataset.load("test").images, images[:4])
    (tmp_path / "part1" / "train_data_batch_3.npz").unlink()
    with pytest.raises(DataError, match=r"train_data_batch_3.npz is missing, one of 10"):
        dataset.load("train")


def test_npy_is_memory_mapped(tmp_path, images):
    np.save(tmp_path / "imagenet32-train.npy", images)
    np.save(tmp_path / "imagenet32-valid.npy", images[:5])
    dataset = open_set(tmp_path)
    dataset.prepare()
    source = dataset.load("train")
    assert isinstance(source.images, np.memmap)
    np.testing.assert_array_equal(source.batch(np.array([7, 2])), images[[7, 2]])
    assert len(dataset.load("test")) == 5


def test_the_other_version(tmp_path, images):
    for folder, part in (("train_32x32", images[:6]), ("valid_32x32", images[6:9])):
        (tmp_path / folder).mkdir()
        for number, image in enumerate(part):
            Image.fromarray(image).save(tmp_path / folder / f"{number:04d}.png")
    dataset = open_set(tmp_path, version="oord-2016")
    np.testing.assert_array_equal(dataset.load("train").images, images[:6])
    np.testing.assert_array_equal(dataset.load("test").images, images[6:9])
    assert dataset.info.version.startswith("oord-2016")
    with pytest.raises(DataError, match=r"val_data.npz"):
        open_set(tmp_path).load("test")


@pytest.mark.parametrize("side", [32, 64])
def test_missing_files_say_where_to_get_them(tmp_path, side):
    with pytest.raises(DataError, match=rf"train_data_batch_\*.npz or imagenet{side}-") as caught:
        open_set(tmp_path, side).prepare()
    assert "image-net.org" in caught.value.hint
    assert f"Imagenet{side}_val_npz.zip" in caught.value.hint
    assert str(tmp_path) in caught.value.hint


def test_the_wrong_side(tmp_path, images):
    np.save(tmp_path / "imagenet64-train.npy", images)
    with pytest.raises(DataError, match="expected uint8 images of 64x64"):
        open_set(tmp_path, 64).load("train")


@pytest.mark.parametrize("side", [32, 64])
def test_flips_when_asked_for(tmp_path, side):
    images = np.random.default_rng(0).integers(0, 256, (8, side, side, 3), dtype=np.uint8)
    for flip in (False, True):
        dataset = open_set(tmp_path, side, flip=flip)
        changed = dataset.transform(images, np.random.default_rng(0), True) != images
        assert changed.any() == flip
        np.testing.assert_array_equal(
            dataset.transform(images, np.random.default_rng(0), False), images
        )
