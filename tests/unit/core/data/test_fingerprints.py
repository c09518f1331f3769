import os

import numpy as np
import pytest

from hvae_core.data import fingerprints
from hvae_core.data.arrays import ArraySource
from hvae_core.data.binarize import BinarizedOnce
from hvae_core.data.duplicates import shared_images
from hvae_core.data.fingerprints import Fingerprint, file_digests, fingerprint, image_digests
from hvae_core.interfaces import Dataset

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 6, 3), dtype=np.uint8)


class Items:
    shape = (4, 6, 3)

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        return self.images[indices]


def test_equal_images_have_equal_digests_wherever_they_are():
    digests = image_digests(ArraySource(IMAGES[[0, 1, 0]]))
    assert digests[0] == digests[2] != digests[1]
    columns = np.asfortranarray(IMAGES)
    np.testing.assert_array_equal(
        image_digests(ArraySource(columns, np.array([4, 2]))),
        image_digests(ArraySource(IMAGES))[[4, 2]],
    )
    assert image_digests(Items(IMAGES)) is None


@pytest.mark.parametrize(
    "changed",
    [IMAGES[:-1], IMAGES[::-1], IMAGES.astype(np.uint16), IMAGES.reshape(30, 6, 4, 3),
     np.concatenate([IMAGES, IMAGES[:1]])],
)  # fmt: skip
def test_a_fingerprint_is_of_number_order_type_shape_and_values(changed):
    before = fingerprint(ArraySource(IMAGES))
    assert before.sha256 == fingerprint(ArraySource(IMAGES.copy())).sha256
    assert before.sha256 != fingerprint(ArraySource(changed)).sha256
    one = IMAGES.copy()
    one[17, 0, 0, 0] ^= 1
    for kind in (ArraySource, Items):
        assert fingerprint(kind(IMAGES)).sha256 != fingerprint(kind(one)).sha256


def test_binarized_images_have_the_fingerprint_of_the_grey_ones():
    source = ArraySource(IMAGES)
    binarized = BinarizedOnce(source, "static", seed=1)
    assert fingerprint(binarized).sha256 == fingerprint(source).sha256


def test_digests_of_large_files_are_kept_until_they_change(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "_UNCACHED", 0)
    np.save(tmp_path / "a.npy", IMAGES)
    kept = image_digests(ArraySource(np.load(tmp_path / "a.npy", mmap_mode="r")))
    monkeypatch.setattr(fingerprints, "_digests_of", lambda chunks: np.zeros(30, np.uint64))
    again = image_digests(ArraySource(np.load(tmp_path / "a.npy", mmap_mode="r")))
    np.testing.assert_array_equal(again, kept)
    np.save(tmp_path / "a.npy", IMAGES[::-1])
    os.utime(tmp_path / "a.npy", ns=(1, 1))
    assert not image_digests(ArraySource(np.load(tmp_path / "a.npy", mmap_mode="r"))).any()


def test_parts_of_a_large_file_have_digests_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "_UNCACHED", 0)
    np.save(tmp_path / "a.npy", IMAGES)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for part in (slice(20), slice(10, None), slice(10, 30)):
        np.testing.assert_array_equal(
            image_digests(ArraySource(mapped[part])), image_digests(ArraySource(IMAGES[part]))
        )
    written = np.load(tmp_path / "a.npy", mmap_mode="c")
    for source in (ArraySource(written), ArraySource(written)):
        np.testing.assert_array_equal(
            image_digests(source), image_digests(ArraySource(np.array(written)))
        )
        written[3] ^= 1  # in memory alone


def test_digests_of_files(tmp_path):
    for name, content in (("a", b"x"), ("b", b"y"), ("c", b"x")):
        (tmp_path / name).write_bytes(content)
    files = [tmp_path / name for name in ("a", "b", "c", "missing")]
    first, second, third, missing = file_digests(files)
    assert first == third != second
    assert missing not in (first, second)
    (tmp_path / "b").write_bytes(b"xx")
    assert file_digests(files)[1] != second


def test_images_of_two_splits_are_told_with_their_names():
    class Named(Dataset):
        shape, splits = (4, 6, 3), ("train", "test")

        def load(self, split):
            raise NotImplementedError

        def image_name(self, split, index):
            return f"{split}/{index}.png"

    prints = {
        "train": fingerprint(ArraySource(IMAGES[:20])),
        "test": fingerprint(ArraySource(IMAGES[18:])),
        "validation": Fingerprint(3, "unknown"),
    }
    (told,) = shared_images(Named(), prints)
    assert told.startswith("Warning: 2 of 12 test images are train images too, pixel for pixel: ")
    assert told.endswith("test/0.png is train/18.png, test/1.png is train/19.png.")
    del prints["train"]
    assert shared_images(Named(), prints) == []
