import os

import numpy as np
import pytest
from PIL import Image

from hvae_core.errors import BadInputError
from hvae_core.images.grids import as_pictures, check_grid, make_grid, save_grid, save_png
from hvae_core.interfaces import UINT8, ImageValues


def numbered(count, side=4, channels=1):
    """Images that are their own number everywhere."""
    return np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None, None], (count, side, side, channels)
    )


def test_a_grid_that_nobody_could_open_is_refused():
    check_grid(1000, (32, 32, 3))
    with pytest.raises(BadInputError, match="A grid of 100000 images would be 20920 x 20854 pix"):
        check_grid(100_000, (32, 32, 3))
    check_grid(1980, (64, 64, 3), columns=990)
    with pytest.raises(BadInputError, match="A grid of 2000 images would be 65998 x 130 pixels"):
        check_grid(2000, (64, 64, 3), columns=1000)
    with pytest.raises(BadInputError, match="would be 64 x 65998 pixels"):
        check_grid(1000, (64, 64, 3), columns=1)


def test_images_go_row_by_row_on_white():
    grid = make_grid(numbered(5), columns=3, scale=1)
    assert grid.shape == (4 + 2 + 4, 3 * 4 + 2 * 2, 1)
    assert [int(grid[0, left, 0]) for left in (0, 6, 12)] == [0, 1, 2]
    assert [int(grid[6, left, 0]) for left in (0, 6, 12)] == [3, 4, 255]
    assert (grid[4:6] == 255).all()


def test_the_default_grid_is_about_square_and_small_images_are_enlarged():
    grid = make_grid(numbered(9, side=8, channels=3))
    assert grid.shape == (3 * 64 + 2 * 2, 3 * 64 + 2 * 2, 3)
    assert make_grid(numbered(1, side=100)).shape == (100, 100, 1)
    assert make_grid(numbered(2), columns=10, scale=2).shape == (8, 18, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_is_read_back_as_written(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 6, channels)).astype(np.uint8)
    path = save_grid(images, tmp_path / "new" / "grid.png", columns=2, scale=1)
    read = np.asarray(Image.open(path)).reshape(make_grid(images, 2, 1).shape)
    np.testing.assert_array_equal(read, make_grid(images, 2, 1))


@pytest.mark.parametrize(
    ("images", "options", "sentence"),
    [
        (np.zeros((2, 4, 4), np.uint8), {}, "uint8 .N, H, W"),
        (np.zeros((2, 4, 4, 3), np.float32), {}, "float32"),
        (np.zeros((0, 4, 4, 3), np.uint8), {}, "at least one image"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"columns": 0}, "columns is 0"),
        (np.zeros((2, 4, 4, 3), np.uint8), {"scale": -1}, "scale is -1"),
    ],
)
def test_what_makes_no_grid_is_told(images, options, sentence):
    with pytest.raises(BadInputError, match=sentence):
        make_grid(images, **options)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = save_png(numbered(1)[0], tmp_path / "a.png")
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        save_png(numbered(2)[1], path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]


def test_other_values_are_shown_by_their_range():
    values = ImageValues("float32", -10.0, 10.0, "m")
    images = np.array([-20, -10, 0, 10, 20, np.nan], "f").reshape(1, 1, 6, 1)
    shown = as_pictures(images, values)
    assert shown.ravel().tolist() == [0, 0, 128, 255, 255, 0]
    deep = np.array([0, 2048, 4095], np.uint16).reshape(1, 1, 3, 1)
    assert as_pictures(deep, ImageValues.of_bits(12)).ravel().tolist() == [0, 128, 255]
    assert make_grid(images, values=values, scale=1).shape == (1, 6, 1)
    with pytest.raises(BadInputError, match="needs images of uint16"):
        make_grid(images, values=ImageValues.of_bits(12))


def test_many_channels_are_shown_side_by_side():
    images = np.zeros((2, 4, 3, 5), np.uint8)
    images[..., 3] = 9
    assert as_pictures(images, UINT8)[0, 0, :, 0].tolist() == [0] * 9 + [9] * 3 + [0] * 3
    assert make_grid(images, columns=1, scale=1).shape == (10, 15, 1)
    with pytest.raises(BadInputError, match="pixels"):
        check_grid(2_000, (32, 32, 64))
