import numpy as np
import pytest

from hvae_core.config import create_component, parse_config
from hvae_core.data import fingerprints
from hvae_core.errors import ConfigError, DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 6, 3), dtype=np.uint8)


def arrays(files, **options):
    return create_component("dataset", {"name": "arrays", "files": files, **options}).build()


def all_of(source):
    return source.batch(np.arange(len(source)))


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "grey.npy", IMAGES[..., 0])
    np.save(tmp_path / "first.npy", IMAGES.transpose(0, 3, 1, 2))
    np.save(tmp_path / "floats.npy", (IMAGES / 255).astype(np.float32))
    np.savez(tmp_path / "keras.npz", x_train=IMAGES, y_train=0, x_test=IMAGES[:7])
    np.savez_compressed(tmp_path / "one.npz", pixels=IMAGES)
    np.savez(tmp_path / "two.npz", a=IMAGES, b=IMAGES[:5])
    return tmp_path


def test_files_of_splits(folder, monkeypatch):
    dataset = arrays({"train": "a.npy", "test": "one.npz"}, root=str(folder))
    assert dataset.splits == ("train", "test")
    assert dataset.shape == (4, 6, 3)
    assert dataset.info.sizes == {"train": 30, "test": 30}
    source = dataset.load("train")
    assert isinstance(source.images, np.memmap)
    np.testing.assert_array_equal(all_of(source), IMAGES)
    np.testing.assert_array_equal(all_of(dataset.load("test")), IMAGES)
    assert arrays({"validation": str(folder / "a.npy")}).splits == ("validation",)
    monkeypatch.chdir(folder)
    assert arrays("grey.npy").shape == (4, 6, 1)
    with pytest.raises(DataError, match="Known names: test, train"):
        dataset.load("all")


def test_test_images_are_held_out_where_there_is_no_file_of_them(folder):
    dataset = arrays("a.npy", root=str(folder), test_fraction=0.2)
    train, test = dataset.load("train"), dataset.load("test")
    assert 1 <= len(test) <= 12
    assert dataset.info.sizes == {"train": len(train), "test": len(test)}
    assert f"{len(test)} of 30 images are held out by their content" in dataset.notes()[0]
    everything = {image.tobytes() for image in [*all_of(train), *all_of(test)]}
    assert everything == {image.tobytes() for image in IMAGES}
    other = arrays("a.npy", root=str(folder), test_fraction=0.2, split_seed=1)
    assert not np.array_equal(all_of(other.load("test")), all_of(test))
    old = arrays("a.npy", root=str(folder), test_fraction=0.2, split_by="position")
    assert old.info.sizes == {"train": 24, "test": 6}
    assert old.keys("train") is None
    assert len(set(dataset.keys("train"))) == len(train)


def test_each_image_is_hashed_once(tmp_path, monkeypatch):
    """Whatever asks: the held-out images, the fingerprints of the splits, their keys."""
    np.savez(tmp_path / "a.npz", images=IMAGES)
    dataset, each, counted = arrays(str(tmp_path / "a.npz")), fingerprints._each, []

    def counting(chunks):
        for digest in each(chunks):
            counted.append(digest)
            yield digest

    monkeypatch.setattr(fingerprints, "_each", counting)
    prints = {split: fingerprints.fingerprint(dataset.load(split)) for split in dataset.splits}
    for split, found in prints.items():
        assert dataset.keys(split) == fingerprints.as_keys(found.digests)
        np.testing.assert_array_equal(
            found.digests, list(each([all_of(dataset.load(split))])), err_msg=split
        )
    assert len(counted) == len(IMAGES)


def test_arrays_of_an_npz_file(folder):
    dataset = arrays({"train": str(folder / "keras.npz"), "test": str(folder / "keras.npz")})
    assert dataset.info.sizes == {"train": 30, "test": 7}
    assert len(arrays({"test": str(folder / "two.npz")}, key="b").load("test")) == 5
    for options, sentence in (
        ({}, "holds several arrays: a, b"),
        ({"key": "c"}, "has no array 'c'"),
    ):
        with pytest.raises(DataError, match=sentence):
            arrays(str(folder / "two.npz"), **options).load("train")


def test_channels_first(folder):
    dataset = arrays({"test": str(folder / "first.npy")}, channels="first")
    np.testing.assert_array_equal(all_of(dataset.load("test")), IMAGES)


def test_other_types_are_converted_once_and_without_loss(folder, cache):
    dataset = arrays({"test": str(folder / "floats.npy")})
    dataset.prepare()
    np.testing.assert_array_equal(all_of(dataset.load("test")), IMAGES)
    assert len(list(cache.rglob("*.npy"))) == 1
    np.save(folder / "deep.npy", IMAGES.astype(np.uint16) * 257)
    with pytest.raises(DataError, match=r"deep\.npy holds uint16 values from 0 to 65535; expected"):
        arrays(str(folder / "deep.npy")).prepare()
    files = [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert files == list(cache.rglob("*.npy"))


def test_flips_and_binarizations(folder):
    dataset = arrays(str(folder / "a.npy"), flip=True, binarization="threshold")
    images = all_of(dataset.load("train"))
    assert set(np.unique(images)) == {0, 255}
    flipped = dataset.transform(images, np.random.default_rng(0), True)
    assert (flipped != images).any()
    np.testing.assert_array_equal(
        dataset.transform(images, np.random.default_rng(0), False), images
    )


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    ("array", "options", "expected"),
    [
        (IMAGES, {"photometric": "rgb"}, IMAGES),
        (IMAGES[..., 0], {"photometric": "minisblack"}, IMAGES[..., :1]),
        (IMAGES[0], {"photometric": "rgb"}, IMAGES[:1]),
        (
            IMAGES.transpose(0, 3, 1, 2)[:, :2].reshape(5, 6, 2, 4, 6),
            {"imagej": True, "metadata": {"axes": "TZCYX"}},
            IMAGES[..., :2],
        ),
        (
            (IMAGES[..., 0] >> 1).astype(np.uint16),
            {"photometric": "minisblack"},
            IMAGES[..., :1] >> 1,
        ),
    ],
    ids=["rgb", "grey", "one", "hyperstack", "16 bit"],
)
def test_tiff_stacks(array, options, expected, compression, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, array, compression=compression, **options)
    dataset = arrays({"test": str(path)})
    assert dataset.shape == expected.shape[1:]
    np.testing.assert_array_equal(all_of(dataset.load("test")), expected)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("images", [IMAGES, IMAGES[..., 0]], ids=["rgb", "grey"])
def test_tiff_stacks_that_were_written_page_by_page(images, compression, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "loop.tif"
    with tifffile.TiffWriter(path) as writer:
        for image in images:
            writer.write(image, compression=compression)
    with tifffile.TiffFile(path) as opened:
        assert len(opened.series) == len(IMAGES)  # or this would be as any other stack
    read = all_of(arrays({"test": str(path)}).load("test"))
    np.testing.assert_array_equal(read.reshape(images.shape), images)


def test_bad_tiff_files(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "deep.tiff"
    tifffile.imwrite(path, IMAGES[..., 0].astype(np.uint16) * 16, photometric="minisblack")
    with pytest.raises(DataError, match=r"deep\.tiff holds uint16 values from 0 to 4080; expected"):
        arrays({"test": str(path)}).load("test")
    for content in (b"", b"no tiff", path.read_bytes()[:300]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"deep\.tiff cannot be read"):
            arrays({"test": str(path)}).load("test")


def test_bad_files(folder):
    (folder / "bad.npy").write_bytes((folder / "a.npy").read_bytes()[:200])
    (folder / "bad.npz").write_bytes((folder / "a.npy").read_bytes())
    np.save(folder / "flat.npy", IMAGES.reshape(30, -1))
    np.save(folder / "none.npy", IMAGES[:0])
    np.save(folder / "thin.npy", IMAGES[:, :0])
    np.save(folder / "thin-floats.npy", IMAGES[:, :, :0].astype(np.float32))
    np.save(folder / "ones.npy", IMAGES // 128)
    for name, sentence in (
        ("missing.npy", "missing.npy is missing"),
        ("missing.tif", "missing.tif is missing"),
        ("bad.npy", "bad.npy cannot be read"),
        ("bad.npz", "bad.npz is an .npy file; expected an .npz"),
        ("flat.npy", r"shape \[30, 72\]; expected images \[N, H, W, C\]"),
        ("none.npy", "none.npy has no images"),
        ("thin.npy", "thin.npy holds images of 0x6 pixels and 3 channels; expected at least"),
        ("thin-floats.npy", "thin-floats.npy holds images of 4x0 pixels"),
        ("ones.npy", r"All values of .*ones.npy are 0 or 1"),
    ):
        with pytest.raises(DataError, match=sentence):
            arrays(name, root=str(folder)).load("train")
    for files, sentence in (({}, "files is empty"), ("a.h5", "files has a.h5; expected a file")):
        with pytest.raises(ConfigError, match=sentence):
            arrays(files)
    with pytest.raises(ConfigError, match=r"data\.files is missing"):
        parse_config({"data": "arrays"})


def test_values_of_0_and_1_in_the_first_images_alone_are_no_fault(tmp_path):
    images = np.ones((1030, 2, 2, 1), np.uint8)
    images[-1] = 200
    np.save(tmp_path / "late.npy", images)
    source = arrays(str(tmp_path / "late.npy"), test_fraction=0).load("train")
    assert source.batch(np.array([0, 1029]))[:, 0, 0, 0].tolist() == [1, 200]


def test_native_values_are_read_as_they_are(tmp_path):
    deep = np.random.default_rng(1).integers(0, 4096, (30, 4, 6, 5), dtype=np.uint16)
    np.save(tmp_path / "deep.npy", deep)
    options = {"root": str(tmp_path), "values": {"dtype": "uint16", "bits": 12}, "flip": True}
    dataset = arrays({"train": "deep.npy", "test": "deep.npy"}, **options)
    assert (dataset.values.high, dataset.shape) == (4095.0, (4, 6, 5))
    source = dataset.load("train")
    assert isinstance(source.images, np.memmap)
    np.testing.assert_array_equal(all_of(source), deep)
    mirrored = dataset.transform(deep, np.random.default_rng(0), True)
    assert mirrored.dtype == np.uint16
    assert (mirrored != deep).any()
    deep[29, 0, 0, 0] = 5000
    np.save(tmp_path / "deep.npy", deep)
    with pytest.raises(DataError, match=r"deep.npy holds uint16 values .* to 5000; expected whole"):
        arrays({"test": "deep.npy"}, **options).load("test")


def test_floating_point_values_are_read_as_they_are(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    floats = np.random.default_rng(1).normal(0, 900, (6, 8, 7)).astype("f")
    tifffile.imwrite(tmp_path / "stack.tif", floats, photometric="minisblack")
    values = {"dtype": "float32", "range": [-1000, 1000], "unit": "HU"}
    dataset = arrays({"test": "stack.tif"}, root=str(tmp_path), values=values)
    assert str(dataset.values) == "float32 from -1000 to 1000 HU"
    source = dataset.load("test")
    assert isinstance(source.images, np.memmap)
    np.testing.assert_array_equal(all_of(source)[..., 0], floats)
    np.save(tmp_path / "double.npy", floats.astype(np.float64))
    converted = arrays({"test": "double.npy"}, root=str(tmp_path), values=values)
    np.testing.assert_array_equal(all_of(converted.load("test"))[..., 0], floats)
    np.save(tmp_path / "nan.npy", np.full((2, 3, 3), np.nan, "f"))
    with pytest.raises(DataError, match=r"nan.npy holds .*; expected finite numbers"):
        arrays({"test": "nan.npy"}, root=str(tmp_path), values=values).load("test")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"dtype": "uint8", "bits": 12}, "bits is for uint16, but dtype is uint8"),
        ({"dtype": "uint16", "unit": "m"}, "range and unit are for float32, but dtype is uint16"),
        ({"dtype": "float32", "range": [3, 3]}, "expected a lower and a higher one"),
        ({"dtype": "int32"}, "values.dtype"),
    ],
)
def test_impossible_values_are_told(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        arrays("a.npy", values=values)


def test_more_than_8_bits_are_not_binarized():
    with pytest.raises(ConfigError, match="binarization is dynamic, which is of uint8"):
        arrays("a.npy", values={"dtype": "uint16"}, binarization="dynamic")
