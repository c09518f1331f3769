import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from hvae_core.config import create_component
from hvae_core.data.fingerprints import as_keys, file_digests
from hvae_core.errors import DataError
from hvae_plugins.datasets import image_folder
from hvae_plugins.datasets.image_folder import ImageFolder, ImageFolderConfig
from hvae_plugins.datasets.parquet import Parquet, ParquetConfig


def write_images(folder, count, suffix="png", size=(20, 12)):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    for number in range(count):
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.{suffix}")


def open_folder(root, **options):
    return ImageFolder(ImageFolderConfig(root=str(root), **{"size": 8} | options))


# image-folder


def test_split_folders(tmp_path):
    write_images(tmp_path / "train" / "cats", 5)
    write_images(tmp_path / "train" / "dogs", 3, "jpg")
    write_images(tmp_path / "test", 2, "webp")
    write_images(tmp_path / "val", 1)
    dataset = open_folder(tmp_path)
    assert set(dataset.splits) == {"train", "test", "validation"}
    assert dict(dataset.info.sizes) == {"train": 8, "test": 2, "validation": 1}
    source = dataset.load("train")
    assert len(source) == 8
    assert source.shape == dataset.shape == (8, 8, 3)


def test_hold_out(tmp_path):
    write_images(tmp_path, 20)
    dataset = open_folder(tmp_path, test_fraction=0.25)
    train, test = dataset.load("train"), dataset.load("test")
    assert 1 <= len(test) <= 9
    assert f"{len(test)} of 20 images are held out by their content" in dataset.notes()[0]
    everything = {image.tobytes() for image in [*train.images, *test.images]}
    assert len(everything) == 20
    assert dataset.files == open_folder(tmp_path, test_fraction=0.25).files
    other = open_folder(tmp_path, test_fraction=0.25, split_seed=1)
    assert dataset.files["test"] != other.files["test"]
    before = {path.name for path in dataset.files["test"]}
    write_images(tmp_path / "more", 30)
    for split_by in ("content", "path"):
        now = open_folder(tmp_path, test_fraction=0.25, split_by=split_by)
        named = {path.name for path in now.files["test"] if path.parent == tmp_path}
        assert (named == before) == (split_by == "content")


@pytest.mark.parametrize("has_test", [False, True])
def test_each_file_is_hashed_once(tmp_path, monkeypatch, has_test):
    write_images(tmp_path / "train", 20)
    if has_test:
        write_images(tmp_path / "test", 5)
    dataset, counted = open_folder(tmp_path), []

    def counting(files):
        counted.extend(files)
        return file_digests(files)

    monkeypatch.setattr(image_folder, "file_digests", counting)
    keys = {split: dataset.keys(split) for split in dataset.splits}
    for split, known in keys.items():
        assert known == dataset.keys(split) == as_keys(file_digests(dataset.files[split]))
    assert sorted(counted) == sorted(path for files in dataset.files.values() for path in files)


def test_position_is_the_choice_of_format_1(tmp_path):
    write_images(tmp_path, 20)
    write_images(tmp_path / "test", 3)
    write_images(tmp_path / ".ipynb_checkpoints", 2)
    old = open_folder(tmp_path, test_fraction=0.2, split_by="position")
    assert dict(old.info.sizes) == {"train": 20, "test": 5}  # 25 files, all of one folder
    assert old.keys("train") is None
    assert "those of format 1" in old.notes()[0]
    new = open_folder(tmp_path)
    assert dict(new.info.sizes) == {"train": 20, "test": 3}


def test_folders_beside_those_of_splits_are_told(tmp_path):
    write_images(tmp_path / "cats", 4)
    write_images(tmp_path / "Testing", 2)
    beside = open_folder(tmp_path)
    assert dict(beside.info.sizes) == {"train": 4, "test": 2}
    assert beside.notes() == (
        "4 images of train from all other folders.", "2 images of test from Testing/."
    )  # fmt: skip
    write_images(tmp_path / "training", 5)
    assert "4 images in no folder of a split are left out: cats." in open_folder(tmp_path).notes()
    only = tmp_path / "only"
    write_images(only / "test", 2)
    assert open_folder(only).splits == ("test",)


def test_crop_grey_and_flip(tmp_path):
    write_images(tmp_path, 10, size=(16, 8))
    source = open_folder(tmp_path).load("train")
    first = open_folder(tmp_path).files["train"][0]
    np.testing.assert_array_equal(source.images[0], np.asarray(Image.open(first))[:, 4:12])
    stretched = open_folder(tmp_path, crop="none").load("train")
    assert (stretched.images[0] != source.images[0]).any()
    grey = open_folder(tmp_path, channels=1)
    assert grey.load("train").shape == grey.shape == (8, 8, 1)
    flipping = open_folder(tmp_path, flip=True)
    rng = np.random.default_rng(0)
    assert (flipping.transform(source.images, rng, True) != source.images).any()
    np.testing.assert_array_equal(flipping.transform(source.images, rng, False), source.images)


def test_unreadable_image(tmp_path, cache):
    write_images(tmp_path / "images", 10)
    bad = tmp_path / "images" / "004.png"
    bad.write_bytes(bad.read_bytes()[:100])
    dataset = open_folder(tmp_path / "images")
    with pytest.raises(DataError, match=r"004.png is no readable image") as caught:
        dataset.prepare()
    assert "skip_unreadable" in caught.value.hint
    assert not list(cache.rglob("*.part"))
    kept = open_folder(tmp_path / "images", skip_unreadable=True)
    assert len(kept.load("train")) + len(kept.load("test")) == 9
    for again in (kept, open_folder(tmp_path / "images", skip_unreadable=True)):
        again.prepare()
        (told,) = (note for note in again.notes() if "cannot be read" in note)
        assert told.startswith("1 of ")
        assert told.endswith("004.png.")
        for split in again.splits:
            assert len(again.keys(split)) == len(again.load(split))
            assert again.image_name(split, 0) != "004.png"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_itself_is_an_unreadable_image(tmp_path):
    write_images(tmp_path, 10)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    with pytest.raises(DataError, match=r"self\.png is no readable image"):
        open_folder(tmp_path).prepare()
    kept = open_folder(tmp_path, skip_unreadable=True, test_fraction=0)
    assert len(kept.load("train")) == 10


def test_bad_folders(tmp_path):
    with pytest.raises(DataError, match="has no images"):
        open_folder(tmp_path).load("train")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is no folder"):
        open_folder(tmp_path / "file").load("train")
    with pytest.raises(DataError, match="does not exist"):
        open_folder(tmp_path / "nowhere").load("train")


@pytest.mark.parametrize("name", ["image-folder", "parquet"])
def test_native_values_and_backgrounds_of_files(tmp_path, name):
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 4096, (4, 6, 8), dtype=np.uint16)
    clear = rng.integers(0, 256, (4, 6, 8, 4), dtype=np.uint8)

    def images(arrays, **options):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        (folder / "train").mkdir(parents=True)
        for number, array in enumerate(arrays):
            Image.fromarray(array).save(folder / "train" / f"{number}.png")
        root = str(folder)
        if name == "parquet":
            pyarrow = pytest.importorskip("pyarrow")
            cells = [{"bytes": f.read_bytes()} for f in sorted((folder / "train").iterdir())]
            root = str(folder / "train.parquet")
            pytest.importorskip("pyarrow.parquet").write_table(
                pyarrow.table({"image": cells}), root
            )
        options = {"size": [6, 8], "test_fraction": 0, **options}
        dataset = create_component("dataset", {"name": name, "root": root, **options}).build()
        source = dataset.load("train")
        assert source.shape == dataset.shape
        return source.batch(np.arange(len(source)))

    read = images(deep, channels=1, values={"dtype": "uint16", "bits": 12})
    np.testing.assert_array_equal(read[..., 0], deep)
    for options in ({}, {"values": {"dtype": "uint16", "bits": 10}}):
        with pytest.raises(DataError, match="holds uint16 values from"):
            images([deep[0] * 0, deep[1]], channels=1, **options)
    halved = images(deep * 16, channels=1, reduce_bits=True)
    np.testing.assert_array_equal(halved[..., 0], deep >> 4)
    with pytest.raises(DataError, match="has transparent pixels"):
        images(clear)
    white, black = (images(clear, background=colour) for colour in ("white", "black"))
    assert (white >= black).all()
    assert (white != black).any()


def test_tiff_files_of_a_folder(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    floats = np.random.default_rng(0).normal(0, 900, (12, 6, 8)).astype("f")
    for number, image in enumerate(floats):
        tifffile.imwrite(tmp_path / f"{number:02d}.tif", image)
    with pytest.raises(DataError, match=r"images cannot be taken as they are: .*00\.tif"):
        open_folder(tmp_path, channels=1, test_fraction=0.01).prepare()
    values = {"dtype": "float32", "range": [-1000, 1000], "unit": "HU"}
    dataset = open_folder(tmp_path, channels=1, size=(6, 8), values=values)
    dataset.prepare()
    files = [int(path.stem) for path in dataset.files["train"]]
    np.testing.assert_array_equal(dataset.load("train").images[..., 0], floats[files])


# parquet


def test_parquet_set(fixtures_folder):
    pytest.importorskip("pyarrow")
    root = str(fixtures_folder / "cifar10")
    dataset = Parquet(ParquetConfig(root=root))
    assert set(dataset.splits) == {"train", "test"}
    assert dict(dataset.info.sizes) == {"train": 32, "test": 16}
    assert dataset.shape == (32, 32, 3)
    assert len(dataset.load("test")) == 16
    small = Parquet(ParquetConfig(root=root, size=8, channels=1))
    assert small.load("test").shape == small.shape == (8, 8, 1)
    with pytest.raises(DataError, match="no split 'validation'"):
        dataset.load("validation")


def test_images_of_parquet_files_are_known_by_their_content(fixtures_folder, tmp_path):
    pytest.importorskip("pyarrow")
    folder = shutil.copytree(fixtures_folder / "cifar10", tmp_path / "data")
    keys = Parquet(ParquetConfig(root=str(folder))).keys("train")
    assert len(set(keys)) == 32
    assert Parquet(ParquetConfig(root=str(folder), split_by="position")).keys("train") is None
    (folder / "test-00000-of-00001.parquet").rename(folder / "train-more.parquet")
    (folder / "train-00000-of-00001.parquet").rename(folder / "train-other.parquet")
    shutil.copy(folder / "train-more.parquet", folder / "labels.parquet")
    dataset = Parquet(ParquetConfig(root=str(folder), test_fraction=0))
    assert dataset.splits == ("train",)
    assert dataset.keys("train")[16:] == keys
    assert dataset.notes() == (
        "2 files of train: train-more.parquet, train-other.parquet.",
        "Files whose names say no split are left out: labels.parquet.",
    )


def test_parquet_files_without_test_images_hold_some_out(fixtures_folder, tmp_path):
    pytest.importorskip("pyarrow")
    for place in ("few", "many"):
        (tmp_path / place).mkdir()
        shutil.copy(fixtures_folder / "cifar10" / "train-00000-of-00001.parquet", tmp_path / place)

    def parts(place="few", **options):
        dataset = Parquet(ParquetConfig(root=str(tmp_path / place), test_fraction=0.3, **options))
        assert dataset.splits == ("train", "test")
        assert not dataset.info.sizes
        keys = [dataset.keys(split) for split in dataset.splits]
        labels = [dataset.condition("label", split).values for split in dataset.splits]
        images = [dataset.load(split) for split in dataset.splits]
        assert list(map(len, images)) == list(map(len, labels))
        note = f"There is no file of test images: {len(images[1])} of "
        assert any(told.startswith(note) for told in dataset.notes())
        return keys, [dict(zip(*pair, strict=True)) for pair in zip(keys, labels, strict=True)]

    (train, test), labels = parts()
    assert len(train) + len(test) == 32
    assert len(test) > 1
    whole = Parquet(ParquetConfig(root=str(tmp_path / "few"), test_fraction=0))
    known = dict(zip(whole.keys("train"), whole.condition("label", "train").values, strict=True))
    assert labels[0] | labels[1] == known
    assert set(parts(split_seed=1)[0][1]) != set(test)
    more = fixtures_folder / "cifar10" / "test-00000-of-00001.parquet"
    shutil.copy(more, tmp_path / "many" / "train-more.parquet")
    (_, now), _ = parts("many")
    assert set(now) & set(train + test) == set(test)
    old = Parquet(
        ParquetConfig(root=str(tmp_path / "few"), test_fraction=0.25, split_by="position")
    )
    assert len(old.load("test")) == 8


def test_parquet_column_crop_and_flip(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    write_images(tmp_path / "images", 2, size=(16, 8))
    files = sorted((tmp_path / "images").iterdir())
    first, second = ([{"bytes": file.read_bytes(), "path": None}] for file in files)
    path = tmp_path / "train.parquet"
    pq.write_table(pyarrow.table({"picture": first, "image": second}), path)

    def images(**options):
        options = {"root": str(path), "size": 8, "test_fraction": 0, **options}
        return Parquet(ParquetConfig(**options)).load("train").images

    pixels = [np.asarray(Image.open(file)) for file in files]
    np.testing.assert_array_equal(images(column="picture")[0], pixels[0][:, 4:12])
    np.testing.assert_array_equal(images()[0], pixels[1][:, 4:12])
    assert (images(crop="none") != images()).any()
    many = np.repeat(images(), 20, axis=0)
    for flip in (False, True):
        dataset = Parquet(ParquetConfig(root=str(path), flip=flip))
        assert (dataset.transform(many, np.random.default_rng(0), True) != many).any() == flip


def test_parquet_images_of_several_sizes_need_a_size(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    write_images(tmp_path / "images", 1, size=(8, 8))
    write_images(tmp_path / "more", 1, size=(9, 9))
    cells = [
        {"bytes": (tmp_path / name / "000.png").read_bytes(), "path": None}
        for name in ("images", "more")
    ]
    pq.write_table(pyarrow.table({"image": cells}), tmp_path / "train.parquet")
    root = str(tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"Row 1 of .* is 9x9 with 3 channels but 8x8") as caught:
        Parquet(ParquetConfig(root=root)).load("train")
    assert "data.size" in caught.value.hint
    assert len(Parquet(ParquetConfig(root=root, size=8, test_fraction=0)).load("train")) == 2


def test_unreadable_images_of_parquet_files_are_left_out_and_told(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    write_images(tmp_path / "images", 4, size=(8, 8))
    cells = [{"bytes": file.read_bytes()} for file in sorted((tmp_path / "images").iterdir())]
    cells[0] = cells[2] = {"bytes": b"no image"}
    path = tmp_path / "train.parquet"
    pq.write_table(pyarrow.table({"image": cells, "label": [4, 5, 6, 7]}), path)
    with pytest.raises(DataError, match="2 images cannot be read: Row 0 of"):
        Parquet(ParquetConfig(root=str(path), size=8)).load("train")
    for _ in range(2):  # the second time from the cache
        options = {"root": str(path), "skip_unreadable": True, "test_fraction": 0}
        dataset = Parquet(ParquetConfig(**options))
        assert len(dataset.load("train")) == len(dataset.keys("train")) == 2
        assert dataset.condition("label", "train").values.tolist() == [5, 7]
        assert dataset.notes()[1].startswith("2 of 4 train images cannot be read and are left out")


def test_parquet_without_files(tmp_path):
    with pytest.raises(DataError, match="no parquet file"):
        Parquet(ParquetConfig(root=str(tmp_path))).load("train")
