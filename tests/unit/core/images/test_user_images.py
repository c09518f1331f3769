"""Image files of the user's, as the model takes images."""

import numpy as np
import pytest
from deep_png import deep_png
from PIL import Image

from hvae_core.cli.given_images import read_image
from hvae_core.config import parse_config
from hvae_core.data.image_decoding import Decoding
from hvae_core.errors import DataError
from hvae_core.images.grids import as_pictures
from hvae_core.images.user_images import FittedImage, as_trained_on, read_user_image
from hvae_core.interfaces import UINT8, ImageValues


def configuration(kind):
    return parse_config(
        {
            "model": {"resolutions": [32, 1], "image_channels": 1},
            "likelihood": "bernoulli" if kind != "none" else "logistic-mixture",
            "data": {"name": "mnist", "binarization": kind},
        }
    )


@pytest.mark.parametrize("kind", ["dynamic", "static", "threshold", "none"])
def test_images_are_binarized_as_in_training(kind):
    grey = FittedImage(np.full((32, 32, 1), 200, np.uint8), "Turned grey.")
    config = configuration(kind)
    seen = as_trained_on(grey, config, seed=1)
    if kind == "none":
        assert seen is grey
        return
    assert set(np.unique(seen.pixels)) <= {0, 255}
    assert seen.note == "Turned grey. Binarized."
    share = (seen.pixels == 255).mean()
    assert share == 1 if kind == "threshold" else abs(share - 200 / 255) < 0.05
    assert as_trained_on(seen, config, seed=1) is seen


def test_files_named_on_the_command_line_are_binarized_too(tmp_path):
    class Model:
        image_shape = (32, 32, 1)
        image_values = UINT8
        config = configuration("dynamic")

    Image.fromarray(np.full((40, 40), 100, np.uint8)).save(tmp_path / "grey.png")
    pixels = read_image(str(tmp_path / "grey.png"), Model())
    assert pixels.shape == (32, 32, 1)
    assert set(np.unique(pixels)) == {0, 255}


def test_a_digit_of_the_size_of_mnist_is_padded_as_in_training(tmp_path):
    class Model:
        image_shape = (32, 32, 1)
        image_values = UINT8
        config = parse_config(
            {
                "model": {"resolutions": [32, 1], "image_channels": 1},
                "data": {"name": "mnist", "padding": 2, "binarization": "threshold"},
            }
        )

    digit = np.random.default_rng(0).integers(0, 2, (28, 28)).astype(np.uint8) * 255
    Image.fromarray(digit).save(tmp_path / "28.png")
    pixels = read_image(str(tmp_path / "28.png"), Model())[..., 0]
    np.testing.assert_array_equal(pixels, np.pad(digit, 2))
    Image.fromarray(np.pad(digit, 2)).save(tmp_path / "32.png")
    np.testing.assert_array_equal(read_image(str(tmp_path / "32.png"), Model())[..., 0], pixels)
    fitted = read_user_image(tmp_path / "28.png", (32, 32, 1), padding=2)
    assert fitted.note == "Padded by 2 pixels at each side."


def test_files_of_16_bits_and_of_floating_point_numbers_are_read_as_they_are(tmp_path):
    twelve, floating = ImageValues.of_bits(12), ImageValues("float32", -1.0, 3.0)
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 65
    Image.fromarray(deep).save(tmp_path / "deep.png")
    read = read_user_image(tmp_path / "deep.png", (8, 8, 1), values=twelve)
    np.testing.assert_array_equal(read.pixels[..., 0], deep)
    assert (read.pixels.dtype, read.note) == (np.uint16, "")
    Image.fromarray(deep + np.float32(0.5)).save(tmp_path / "halves.tif")
    with pytest.raises(DataError, match=r"holds float32 .* expected whole numbers from 0 to 4095"):
        read_user_image(tmp_path / "halves.tif", (8, 8, 1), values=twelve)
    smaller = read_user_image(tmp_path / "deep.png", (4, 4, 1), values=twelve)
    assert smaller.note == "Resized to 4x4."
    assert smaller.pixels.max() > 255
    Image.fromarray((deep / np.float32(7)).astype("f")).save(tmp_path / "float.tiff")
    for channels in (1, 3):
        read = read_user_image(tmp_path / "float.tiff", (8, 8, channels), values=floating)
        assert read.pixels.shape == (8, 8, channels)
        for plane in np.moveaxis(read.pixels, -1, 0):
            np.testing.assert_array_equal(plane, (deep / np.float32(7)).astype("f"))
    Image.fromarray(deep + np.uint16(100)).save(tmp_path / "deeper.png")
    with pytest.raises(DataError, match=r"deeper.png holds .* to 4195; expected .* 0 to 4095"):
        read_user_image(tmp_path / "deeper.png", (8, 8, 1), values=twelve)


@pytest.mark.parametrize("values", [ImageValues.of_bits(12), ImageValues("float32", 0, 4095)])
@pytest.mark.parametrize(("held", "wanted"), [(1, 1), (1, 3), (2, 1), (2, 3), (3, 3), (4, 3)])
@pytest.mark.parametrize("is_transparent", [False, True])
def test_all_bits_of_a_deep_png_are_read(tmp_path, held, wanted, is_transparent, values):
    """Whatever its channels are, as the data set image-folder reads them."""
    array = np.full((8, 8, held), 4000, np.uint16)
    if held in (2, 4):
        array[..., -1] = 65535
        array[0, 0, -1] = 0 if is_transparent else 65535
    elif is_transparent:
        return
    path = tmp_path / "deep.png"
    path.write_bytes(deep_png(array))
    read = read_user_image(path, (8, 8, wanted), values=values)
    assert (read.pixels.shape, read.pixels.dtype) == ((8, 8, wanted), values.dtype)
    assert (read.pixels[0, 0] == (4095 if is_transparent else 4000)).all()
    assert (read.pixels[1:] == 4000).all()
    assert read.note == ("Transparent pixels laid on white." if is_transparent else "")
    decoded = Decoding(wanted, values=values, background="white")(path)
    np.testing.assert_array_equal(read.pixels, decoded)


def test_8_bits_are_brought_to_the_range(tmp_path):
    Image.fromarray(np.full((8, 8, 3), (0, 255, 51), np.uint8)).save(tmp_path / "picture.png")
    read = read_user_image(
        tmp_path / "picture.png", (8, 8, 3), values=ImageValues("float32", -1.0, 4.0)
    )
    np.testing.assert_allclose(read.pixels[0, 0], [-1.0, 4.0, 0.0], atol=1e-6)
    assert read.note == "Brought from 8 bits to -1 to 4."


def test_the_picture_of_an_image_of_5_channels_is_read_back(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (4, 3, 5), dtype=np.uint8)
    Image.fromarray(as_pictures(image[None], UINT8)[0, ..., 0]).save(tmp_path / "tiles.png")
    read = read_user_image(tmp_path / "tiles.png", (4, 3, 5))
    np.testing.assert_array_equal(read.pixels, image)
    Image.fromarray(image[..., :3]).save(tmp_path / "rgb.png")
    with pytest.raises(DataError, match=r"5 channels.*15 pixels wide"):
        read_user_image(tmp_path / "rgb.png", (4, 3, 5))


def test_transparency_is_laid_on_white_and_deep_files_are_not_clipped(tmp_path):
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = (255, 0, 0, 255)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    read = read_user_image(tmp_path / "clear.png", (2, 2, 3))
    assert read.pixels[0, 0].tolist() == [255, 0, 0]
    assert (read.pixels[1] == 255).all()
    assert read.note == "Transparent pixels laid on white."
    Image.fromarray(np.array([[0, 65535], [256, 512]], np.uint16)).save(tmp_path / "deep.png")
    deep = read_user_image(tmp_path / "deep.png", (2, 2, 1))
    assert deep.pixels.ravel().tolist() == [0, 255, 1, 2]
    assert deep.note == "Brought from 16 bits to 8."
    Image.fromarray(np.array([[0, 7], [1, 255]], np.int32)).save(tmp_path / "small.tif")
    assert read_user_image(tmp_path / "small.tif", (2, 2, 1)).pixels.ravel().tolist() == [
        0,
        7,
        1,
        255,
    ]
    for array in (np.full((2, 2), 70000, np.int32), np.full((2, 2), 0.5, np.float32)):
        Image.fromarray(array).save(tmp_path / "other.tif")
        with pytest.raises(DataError, match=r"other\.tif holds (int|float)32 values from"):
            read_user_image(tmp_path / "other.tif", (2, 2, 3))


def test_tiff_files_that_pillow_does_not_know_are_read_as_they_are(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    deep = np.random.default_rng(0).integers(0, 65536, (6, 8, 3), dtype=np.uint16)
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, deep, photometric="rgb")
    sixteen, floats = ImageValues.of_bits(16), ImageValues("float32", 0, 65535)
    for values in (sixteen, floats):
        read = read_user_image(path, (6, 8, 3), values=values)
        np.testing.assert_array_equal(read.pixels, deep)
        assert read.pixels.dtype == values.dtype
    small = read_user_image(path, (3, 4, 3), values=sixteen)
    assert (small.pixels.shape, small.note) == ((3, 4, 3), "Resized to 4x3.")
    eight = read_user_image(path, (6, 8, 3))
    np.testing.assert_array_equal(eight.pixels, deep >> 8)
    assert eight.note == "Brought from 16 bits to 8."
    with pytest.raises(DataError, match=r"deep\.tif has 3 channels; expected 5"):
        read_user_image(path, (6, 8, 5), values=sixteen)
    with pytest.raises(DataError, match=r"deep\.tif holds uint16 values"):
        read_user_image(path, (6, 8, 3), values=ImageValues.of_bits(10))
    tifffile.imwrite(path, np.stack([deep, deep[::-1]]), photometric="rgb")
    with pytest.raises(DataError, match="is a TIFF file of 2 images"):
        read_user_image(path, (6, 8, 3), values=sixteen)
