"""Images in files and folders: whole, or not at all."""

import contextlib
import errno

import numpy as np
import pytest
from PIL import Image

from hvae_core.errors import BadInputError, HvaeError
from hvae_core.images.saving import save_images
from hvae_core.interfaces import ImageValues

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)


@contextlib.contextmanager
def full_disk(size=300):
    """No file may become longer than ``size`` bytes, which an image's takes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read(folder):
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == [f"{number:06d}.png" for number in range(len(IMAGES))]
    return np.stack([np.asarray(Image.open(path)) for path in paths])


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_has_a_file_for_each_image(tmp_path, exists):
    folder = tmp_path / "images"
    if exists:
        folder.mkdir()
    assert save_images([IMAGES[:4], IMAGES[4:]], folder, total=6) == 6
    np.testing.assert_array_equal(read(folder), IMAGES)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
    with pytest.raises(BadInputError, match="is not empty"):
        save_images([IMAGES], folder)


def test_the_working_folder_may_be_the_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_images([IMAGES], ".")
    np.testing.assert_array_equal(read(tmp_path), IMAGES)


@pytest.mark.parametrize("name", ["images", "made", "images.png", "images.npz"])
def test_a_full_disk_names_the_path_and_leaves_nothing(tmp_path, name):
    (tmp_path / "made").mkdir()
    target = tmp_path / name
    with full_disk(), pytest.raises(HvaeError, match=rf"^Cannot write {target}: ") as caught:
        save_images([IMAGES], target)
    assert caught.value.exit_code == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["made"]
    assert save_images([IMAGES], target) == 6


def test_what_fails_in_the_middle_leaves_nothing(tmp_path):
    def batches():
        yield IMAGES[:2]
        raise KeyboardInterrupt

    for name in ("images", "images.npz"):
        with pytest.raises(KeyboardInterrupt):
            save_images(batches(), tmp_path / name, total=6)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("columns", [None, 1])
def test_a_grid_that_nobody_could_open_is_not_written(tmp_path, columns):
    many = np.broadcast_to(IMAGES[:1, :1, :1], (30_000, 1, 1, IMAGES.shape[-1]))
    with pytest.raises(BadInputError, match="A grid of 30000 images would be"):
        save_images([many], tmp_path / "grid.png", columns=columns)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_in_nobody_s_way(tmp_path):
    (tmp_path / ".images.0123abcd.tmp").mkdir()
    save_images([IMAGES], tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 6


def test_a_plain_error_of_the_system_names_the_file_too(tmp_path):
    from hvae_core.images.grids import save_png

    with full_disk(), pytest.raises(OSError, match=r"images\.png") as caught:
        save_png(IMAGES[0], tmp_path / "images.png")
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(tmp_path / "images.png")


def test_what_a_png_does_not_hold_is_saved_exactly(tmp_path):
    images = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype("f")
    values = ImageValues("float32", -3.0, 3.0)
    save_images([images[:1], images[1:]], tmp_path / "a.npz", total=2, values=values)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["images"], images)
    save_images([images], tmp_path / "folder", values=values)
    assert [path.name for path in sorted((tmp_path / "folder").iterdir())] == [
        "000000.npy",
        "000001.npy",
    ]
    np.testing.assert_array_equal(np.load(tmp_path / "folder" / "000001.npy"), images[1])
    save_images([images], tmp_path / "grid.png", values=values)
    assert Image.open(tmp_path / "grid.png").mode == "L"
