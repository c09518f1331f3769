import gzip
import io
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from hvae_core.data import cifar_binary
from hvae_core.data.arrays import open_npy, read_npz
from hvae_core.data.binarize import binarize_once, draw
from hvae_core.data.decode import Unreadable, decode_chunks, decode_image
from hvae_core.data.files import data_folder, horizontal_flip
from hvae_core.data.idx import read_idx_images
from hvae_core.data.image_decoding import Decoding
from hvae_core.errors import DataError


def png(array, mode=None, **options):
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, "PNG", **options)
    return buffer.getvalue()


# idx


def test_idx(fixtures_folder, tmp_path):
    path = fixtures_folder / "mnist" / "t10k-images-idx3-ubyte.gz"
    images = read_idx_images(path)
    assert images.shape == (12, 28, 28, 1)
    # The first test image is a seven; its top stroke begins with these values.
    assert images[0, 7, 6:12, 0].tolist() == [84, 185, 159, 151, 60, 36]
    plain = tmp_path / "t10k-images-idx3-ubyte"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(read_idx_images(plain), images)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("a.gz", lambda data: data[:-100], "truncated or damaged"),
        ("a.gz", lambda data: b"no gzip at all", "truncated or damaged"),
        ("a", lambda data: gzip.decompress(data)[:-1], "announces 12 images"),
        ("a", lambda data: b"\0\0\x08\x01" + gzip.decompress(data)[4:], "no idx file of images"),
        ("a", lambda data: b"", "no idx file of images"),
    ],
)
def test_bad_idx(fixtures_folder, tmp_path, name, change, message):
    data = (fixtures_folder / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes()
    path = tmp_path / name
    path.write_bytes(change(data))
    with pytest.raises(DataError, match=message) as caught:
        read_idx_images(path)
    assert str(path) in caught.value.message


# CIFAR-10's binary archive


@pytest.fixture
def batches(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar_binary, "RECORDS", 3)
    folder = tmp_path / cifar_binary.FOLDER
    folder.mkdir()
    rng = np.random.default_rng(0)
    images = {}
    for split, names in cifar_binary.FILES.items():
        images[split] = rng.integers(0, 256, (3 * len(names), 32, 32, 3), dtype=np.uint8)
        for number, name in enumerate(names):
            part = images[split][3 * number : 3 * number + 3]
            records = [bytes([7]) + image.transpose(2, 0, 1).tobytes() for image in part]
            (folder / name).write_bytes(b"".join(records))
    with tarfile.open(tmp_path / cifar_binary.ARCHIVE, "w:gz") as archive:
        archive.add(folder, cifar_binary.FOLDER)
    return images


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar_binary(tmp_path, batches, packed, split):
    if packed:
        shutil.rmtree(tmp_path / cifar_binary.FOLDER)
    place = cifar_binary.find(tmp_path)
    assert place is not None
    assert place.is_file() == packed
    images = np.concatenate(list(cifar_binary.read_images(place, split)))
    np.testing.assert_array_equal(images, batches[split])


def test_cifar_binary_truncated_archive(tmp_path, batches):
    archive = tmp_path / cifar_binary.ARCHIVE
    archive.write_bytes(archive.read_bytes()[:-20_000])
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz is truncated or damaged"):
        list(cifar_binary.read_images(archive, "train"))


def test_cifar_binary_truncated_and_missing_file(tmp_path, batches):
    folder = tmp_path / cifar_binary.FOLDER
    file = folder / "data_batch_4.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_4.bin has 9218 bytes but 9219"):
        list(cifar_binary.read_images(folder, "train"))
    file.unlink()
    with pytest.raises(DataError, match=r"data_batch_4.bin is missing"):
        list(cifar_binary.read_images(folder, "train"))


# NumPy files


@pytest.mark.parametrize("layout", ["channels-last", "channels-first", "flat"])
def test_arrays(tmp_path, layout):
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    planes = images.transpose(0, 3, 1, 2)
    array = {
        "channels-last": images,
        "channels-first": planes,
        "flat": planes.reshape(5, 48),
    }[layout]
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", data=array)
    opened = open_npy(tmp_path / "a.npy", (4, 4, 3))
    assert isinstance(opened, np.memmap)
    np.testing.assert_array_equal(opened, images)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", (4, 4, 3)), images)


def test_bad_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 48), np.uint8))
    with pytest.raises(DataError, match="expected uint8 images of 8x8"):
        open_npy(tmp_path / "a.npy", (8, 8, 3))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(data[:-10])
    with pytest.raises(DataError, match=r"b.npy cannot be read"):
        open_npy(tmp_path / "b.npy", (4, 4, 3))
    with pytest.raises(DataError, match=r"c.npy is missing"):
        open_npy(tmp_path / "c.npy", (4, 4, 3))
    np.savez(tmp_path / "d.npz", other=np.zeros(3))
    with pytest.raises(DataError, match=r"d.npz cannot be read"):
        read_npz(tmp_path / "d.npz", (4, 4, 3))


def npy(header, data=b"\0" * 192):
    """An .npy file with any header."""
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def in_zip(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.npy", content)
    return buffer.getvalue()


FORGED = [
    f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"
    for descr, shape in [
        ("'|u1'", f"({10**14}, 8, 8, 1)"), ("'|u1'", f"({10**30}, 8, 8, 1)"),
        ("'|u1'", f"({2**63 - 1}, 8, 8, 1)"), ("'|u1'", "(-3, 8, 8, 1)"),
        ("'|u1'", "(True, 8, 8, 1)"), ("'|u1'", "'abc'"), ("'|u1'", "()"), ("'|O'", "(3,)"),
        ("[]", "(3,)"), ("{}", "(3,)"), ("'V0'", "(3,)"), ("('u1', 5)", "(3,)"),
    ]
]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [*map(npy, [*FORGED, "[1]\n", "__import__('os')\n", "(" * 9000 + "\n", "-" * 9000 + "1\n"]),
     b"", b"\x93NUMPY", b"\x93NUMPY\x09\x00", b"\x80\x04N.", b"PK\x03\x04"],
    ids=range(21),
)  # fmt: skip
def test_a_forged_or_foreign_array_is_one_sentence(tmp_path, content):
    for name, read in (("a.npy", open_npy), ("a.npz", read_npz)):
        for data in (content, in_zip(content)):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(DataError) as caught:
                read(tmp_path / name, (8, 8, 1))
            assert name in caught.value.message
            assert "\n" not in caught.value.message


def test_an_npz_that_is_an_npy_and_the_reverse_are_told(tmp_path):
    np.savez(tmp_path / "archive.npz", data=np.zeros((2, 8, 8, 1), np.uint8))
    np.save(tmp_path / "array.npy", np.zeros((2, 8, 8, 1), np.uint8))
    (tmp_path / "archive.npz").rename(tmp_path / "a.npy")
    (tmp_path / "array.npy").rename(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"a\.npy is an \.npz archive"):
        open_npy(tmp_path / "a.npy", (8, 8, 1))
    with pytest.raises(DataError, match=r"b\.npz is an \.npy file"):
        read_npz(tmp_path / "b.npz", (8, 8, 1))


def test_arrays_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        open_npy(tmp_path / "a.npy", (4, 4, 3))
    np.savez(tmp_path / "a.npz", data=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        read_npz(tmp_path / "a.npz", (4, 4, 3))


# Decoding


def test_decode_is_lossless_at_the_own_size():
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode_image(png(image), 3), image)
    assert decode_image(png(image), 1).shape == (6, 9, 1)


def test_crop_and_stretch():
    image = np.zeros((8, 24, 3), np.uint8)
    image[:, 8:16] = 255
    np.testing.assert_array_equal(Decoding(3, (8, 8), "center")(png(image)), image[:, 8:16])
    stretched = Decoding(3, (8, 8), "none")(png(image))
    assert stretched.shape == (8, 8, 3)
    assert stretched[:, 0].max() < 20
    assert stretched[:, 4].min() > 235
    # A square of the wanted size after the crop is cut out, never resampled.
    noise = np.random.default_rng(0).integers(0, 256, (8, 24, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Decoding(3, (8, 8), "center")(png(noise)), noise[:, 8:16])


def test_16_bit_grey_and_orientation(tmp_path):
    deep = np.array([[0, 256, 65535]], np.uint16)
    assert decode_image(png(deep), 1)[0, :, 0].tolist() == [0, 1, 255]
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    image = np.zeros((2, 5, 3), np.uint8)
    assert decode_image(png(image, exif=exif), 3).shape == (5, 2, 3)


def test_decode_chunks_keeps_order_and_names_the_bad_image():
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 4, 3), dtype=np.uint8)
    items = [(f"image {number}", png(image)) for number, image in enumerate(images)]

    def decode(data):
        return decode_image(data, 3)

    chunks = list(decode_chunks(items, decode, (4, 4, 3)))
    np.testing.assert_array_equal(np.concatenate(chunks), images)
    items[280] = ("image 280", items[280][1][:40])
    with pytest.raises(DataError, match="image 280 is no readable image"):
        list(decode_chunks(items, decode, (4, 4, 3)))
    left_out = Unreadable()
    kept = np.concatenate(list(decode_chunks(items, decode, (4, 4, 3), left_out)))
    np.testing.assert_array_equal(kept, np.delete(images, 280, 0))
    assert left_out.found == [(280, "image 280")]
    assert left_out.note("test", 300).startswith("1 of 300 test images cannot be read")
    items[1] = ("image 1", png(np.zeros((5, 4, 3), np.uint8)))
    with pytest.raises(DataError, match=r"image 1 is 5x4 with 3 channels but 4x4"):
        list(decode_chunks(items, decode, (4, 4, 3)))


def test_all_bad_images_are_named_at_once_up_to_a_limit():
    items = [(f"image {number}", png(np.zeros((4, 4, 3), np.uint8))) for number in range(700)]
    for number in (3, 300, 600):
        items[number] = (f"image {number}", b"no image")

    def decode(data):
        return decode_image(data, 3)

    with pytest.raises(DataError, match="3 images cannot be read: image 3, image 300, image 600 "):
        list(decode_chunks(items, decode, (4, 4, 3)))
    for number in range(30):
        items[number] = (f"image {number}", b"no image")
    with pytest.raises(DataError, match=r"At least 10 images .* image 9 \(the first: ") as caught:
        list(decode_chunks(items, decode, (4, 4, 3)))
    assert "image 10" not in caught.value.message
    left_out = Unreadable()
    list(decode_chunks(items, decode, (4, 4, 3), left_out))
    assert left_out.note("train", 700).endswith("image 3, image 4 and 27 more.")


# Augmentation and binarization


def test_whatever_the_reader_of_a_format_meets_is_one_sentence():
    header = b"DDS " + (124).to_bytes(4, "little") + bytes(64) + (32).to_bytes(4, "little")
    with pytest.raises(DataError, match=r"x is no readable image \("):
        list(decode_chunks([("x", header + bytes(160))], lambda d: decode_image(d, 3), (8, 8, 3)))


def test_flip_mirrors_about_half_and_leaves_its_input():
    images = np.random.default_rng(0).integers(0, 256, (400, 4, 4, 3), dtype=np.uint8)
    before = images.copy()
    flipped = horizontal_flip(images, np.random.default_rng(1))
    np.testing.assert_array_equal(images, before)
    mirrored = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    same = (flipped == images).all((1, 2, 3))
    assert (mirrored | same).all()
    assert 160 < mirrored.sum() < 240


def test_binarization_draws_with_the_pixel_as_probability():
    images = np.repeat(np.array([0, 51, 255], np.uint8), 20_000).reshape(3, 200, 100, 1)
    drawn = draw(images, np.random.default_rng(0))
    assert set(np.unique(drawn)) == {0, 255}
    means = drawn.mean((1, 2, 3)) / 255
    assert means[0] == 0
    assert means[2] == 1
    assert means[1] == pytest.approx(0.2, abs=0.015)


def test_binarize_once():
    images = np.array([0, 127, 128, 255], np.uint8).reshape(1, 2, 2, 1)
    assert binarize_once(images, "threshold", 0).ravel().tolist() == [0, 0, 255, 255]
    np.testing.assert_array_equal(binarize_once(images, "none", 0), images)
    np.testing.assert_array_equal(binarize_once(images, "dynamic", 0), images)
    static = binarize_once(images, "static", 0)
    np.testing.assert_array_equal(static, binarize_once(images, "static", 0))
    assert set(np.unique(static)) <= {0, 255}


def test_a_root_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"data.root .*nowhere does not exist"):
        data_folder(str(tmp_path / "nowhere"), "cifar10")
