import numpy as np
import pytest

from hvae_core.data.decoded import decoded_images

SHAPE = (2, 3, 1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "data" / "decoded"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "images.bin"
    path.write_bytes(b"one")
    return path


class Decoder:
    def __init__(self, error=None):
        self.calls, self.error = 0, error

    def __call__(self):
        self.calls += 1
        for start in range(0, 6, 2):
            yield np.full((2, *SHAPE), start, np.uint8)
            if self.error:
                raise self.error


def expected():
    return np.repeat(np.array([0, 2, 4], np.uint8), 2)[:, None, None, None] * np.ones(
        SHAPE, np.uint8
    )


def test_decodes_once_and_maps_afterwards(source, cache):
    decoder = Decoder()
    for _ in range(2):
        images = decoded_images([source], "a", SHAPE, decoder)
        assert isinstance(images, np.memmap)
        np.testing.assert_array_equal(images, expected())
    assert decoder.calls == 1
    assert [path.suffix for path in cache.iterdir()] == [".npy"]


def test_a_changed_file_recipe_or_shape_decodes_anew(source):
    decoder = Decoder()
    decoded_images([source], "a", SHAPE, decoder)
    decoded_images([source], "b", SHAPE, decoder)
    source.write_bytes(b"another length")
    decoded_images([source], "a", SHAPE, decoder)
    assert decoder.calls == 3


def test_an_error_leaves_nothing_behind(source, cache):
    with pytest.raises(RuntimeError, match="broken image"):
        decoded_images([source], "a", SHAPE, Decoder(RuntimeError("broken image")))
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made_falls_back_to_memory(source, tmp_path):
    # A file where the folder should be stops root too, unlike a read-only folder.
    (tmp_path / "home").write_text("")
    images = decoded_images([source], "a", SHAPE, Decoder())
    np.testing.assert_array_equal(images, expected())
    assert not isinstance(images, np.memmap)


def test_a_full_disk_falls_back_to_memory(source, cache, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    images = decoded_images([source], "a", SHAPE, Decoder())
    np.testing.assert_array_equal(images, expected())
    assert list(cache.iterdir()) == []


def test_a_truncated_cache_file_is_made_anew(source, cache):
    decoder = Decoder()
    decoded_images([source], "a", SHAPE, decoder)
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-4])
    np.testing.assert_array_equal(decoded_images([source], "a", SHAPE, decoder), expected())
    assert decoder.calls == 2
