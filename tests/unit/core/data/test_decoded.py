import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hvae_core.data.decoded import decoded_images

SHAPE = (2, 3, 1)


def kept(cache):
    """What is in the cache, but for the locks, which are empty."""
    files = list(cache.iterdir())
    locks = [path for path in files if path.suffix == ".lock"]
    assert not any(path.stat().st_size for path in locks)
    return [path for path in files if path not in locks]


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
    assert [path.suffix for path in kept(cache)] == [".npy"]


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
    assert kept(cache) == []


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
    assert kept(cache) == []


def test_a_truncated_cache_file_is_made_anew(source, cache):
    decoder = Decoder()
    decoded_images([source], "a", SHAPE, decoder)
    (path,) = kept(cache)
    path.write_bytes(path.read_bytes()[:-4])
    np.testing.assert_array_equal(decoded_images([source], "a", SHAPE, decoder), expected())
    assert decoder.calls == 2


def test_several_at_once_decode_once(source):
    """As the processes of a run do."""
    begun, decoder = threading.Event(), Decoder()

    def slowly():
        begun.set()
        time.sleep(0.3)
        yield from decoder()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(decoded_images, [source], "a", SHAPE, slowly)
        begun.wait(10)
        others = [pool.submit(decoded_images, [source], "a", SHAPE, decoder) for _ in range(2)]
        for one in (first, *others):
            np.testing.assert_array_equal(one.result(), expected())
    assert decoder.calls == 1


def test_what_a_killed_decoding_left_of_an_array_is_removed(source, cache):
    decoder = Decoder()
    decoded_images([source], "a", SHAPE, decoder)
    (path,) = kept(cache)
    path.unlink()
    (cache / f".{path.name}.01234567.tmp").write_bytes(b"half of it")
    (cache / f".{path.stem}.unreadable.json.01234567.tmp").write_bytes(b"half of it")
    another = cache / f".{'0' * 40}.npy.01234567.tmp"  # which its process may still be writing
    another.write_bytes(b"half of it")
    decoded_images([source], "a", SHAPE, decoder)
    assert set(kept(cache)) == {path, another}


def test_where_no_lock_can_be_had_each_decodes(source, monkeypatch):
    def refuse(_):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("hvae_core.data.decoded.lock_of", refuse)
    images = decoded_images([source], "a", SHAPE, Decoder())
    assert isinstance(images, np.memmap)
    np.testing.assert_array_equal(images, expected())
