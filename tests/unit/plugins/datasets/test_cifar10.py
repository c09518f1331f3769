import numpy as np
import pytest

from hvae_core.data import Batches, parquet
from hvae_core.errors import DataError
from hvae_plugins.datasets.cifar10 import Cifar10, Cifar10Config

pytest.importorskip("pyarrow")


def open_cifar(root, **options):
    return Cifar10(Cifar10Config(root=str(root), **options))


def test_parquet(fixtures_folder, cache):
    dataset = open_cifar(fixtures_folder / "cifar10")
    train, test = dataset.load("train"), dataset.load("test")
    assert (len(train), len(test)) == (32, 16)
    assert train.shape == (32, 32, 3)
    assert len(list((cache / "data" / "decoded").glob("*.npy"))) == 2
    np.testing.assert_array_equal(train.images, dataset.load("train").images)


def test_flips_in_training_only(fixtures_folder):
    dataset = open_cifar(fixtures_folder / "cifar10")
    source = dataset.load("train")
    batch = Batches(source, dataset, batch_size=32, training=True).batch(0).images
    originals = {image.tobytes() for image in source.images}
    mirrored = sum(image.tobytes() not in originals for image in batch)
    assert 4 < mirrored < 28
    assert all(
        image.tobytes() in originals or image[:, ::-1].tobytes() in originals for image in batch
    )
    np.testing.assert_array_equal(
        Batches(source, dataset, batch_size=32).batch(0).images, np.asarray(source.images)
    )
    plain = open_cifar(fixtures_folder / "cifar10", flip=False)
    batch = Batches(source, plain, batch_size=32, training=True).batch(0).images
    assert {image.tobytes() for image in batch} == originals


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match="holds no CIFAR-10"):
        open_cifar(tmp_path).load("train")


def test_a_split_without_files(fixtures_folder, tmp_path):
    name = "train-00000-of-00001.parquet"
    (tmp_path / name).write_bytes((fixtures_folder / "cifar10" / name).read_bytes())
    with pytest.raises(DataError, match=r"has no test-\*.parquet"):
        open_cifar(tmp_path).load("test")


def test_a_damaged_image_names_file_and_row(fixtures_folder, tmp_path, cache):
    name = "test-00000-of-00001.parquet"
    source = fixtures_folder / "cifar10" / name
    image = [data for _, data in parquet.encoded_images([source])][2]
    data = source.read_bytes().replace(image, image[:60] + bytes(len(image) - 60))
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=r"Row 2 of .*test-00000-of-00001.parquet is no readable"):
        open_cifar(tmp_path).load("test")
    assert all(path.suffix == ".lock" for path in (cache / "data" / "decoded").iterdir())
