import io

import numpy as np
import pytest
from deep_png import deep_png
from PIL import Image

from hvae_core.data.pixels import as_array, as_batch, common_unit, quantized, unit_of
from hvae_core.errors import DataError

GREY = np.array([[0, 1, 2], [128, 254, 255]], np.uint8)


def as_uint8(array):
    unit = common_unit({unit_of(array)}, array.dtype.kind == "f", "x")
    return quantized(array, unit, "x")


@pytest.mark.parametrize(
    "same",
    [
        GREY,
        GREY.astype(np.int64),
        GREY.astype(">u2"),
        GREY.astype(np.float32),
        (GREY / 255).astype(np.float32),
        GREY / 255.0,
    ],
    ids=lambda array: f"{array.dtype} to {array.max()}",
)
def test_the_same_values_in_another_type_are_converted(same):
    converted = as_uint8(same)
    assert converted.dtype == np.uint8
    np.testing.assert_array_equal(converted, GREY)


@pytest.mark.parametrize("kind", [bool, np.float32])
def test_black_and_white(kind):
    np.testing.assert_array_equal(as_uint8((GREY > 100).astype(kind)), np.where(GREY > 100, 255, 0))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (GREY.astype(np.uint16) * 256, "uint16 values from 0 to 65280; expected uint8"),
        (GREY / 127.5 - 1, "float64 values from -1 to 1"),
        (GREY / 254, "from 0 to 1.00394"),
        (GREY + 0.5, "from 0.5 to 255.5"),
        (np.array([0.1, np.nan]), "expected uint8"),
        (np.array([0.123, 0.456]), "multiples of 1/255"),
        (np.array([-1, 3]), "from -1 to 3"),
        (GREY.astype(np.float16) / np.float16(255), "float16 values"),
        ((GREY > 100).astype(np.uint8), "All values of x are 0 or 1"),
        ((GREY > 100).astype(np.int32), "Multiply the images by 255"),
        (GREY.astype(complex), "type complex128; expected uint8"),
        (np.array(["a"]), "type <U1"),
    ],
)
def test_what_would_lose_something_is_refused(values, sentence):
    with pytest.raises(DataError, match=sentence):
        quantized(values, common_unit({unit_of(values)}, values.dtype.kind == "f", "x"), "x")


def test_parts_of_different_ranges_are_refused():
    with pytest.raises(DataError, match="values up to 1 and others"):
        common_unit({1, 255, None}, True, "x")


def test_layouts():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    for array in (images, images.transpose(0, 3, 1, 2)):
        np.testing.assert_array_equal(as_batch(array, (4, 6, 3), "x")[0], images)
        one, is_one = as_batch(array[0], (4, 6, 3), "x")
        assert is_one
        np.testing.assert_array_equal(one, images[:1])
    grey = images[..., :1]
    for array in (grey, grey[..., 0], grey.transpose(0, 3, 1, 2)):
        np.testing.assert_array_equal(as_batch(array, (4, 6, 1), "x")[0], grey)
    # Where both layouts fit, channels are last.
    np.testing.assert_array_equal(as_batch(images[:, :3, :3], (3, 3, 3), "x")[0], images[:, :3, :3])
    for wrong in (images[0], images[None], images[..., :2], images.reshape(5, -1)):
        with pytest.raises(DataError, match=r"x has shape .*; the model needs images \[B, 4, 6, 3"):
            as_batch(wrong, (4, 6, 3), "x", single=False)


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "item",
    [
        GREY,
        (GREY, 3),
        [GREY, [1.0]],
        GREY.tolist(),
        {"label": 1, "image": GREY},
        {"x": Image.fromarray(GREY)},
        (Image.fromarray(GREY), 3),
        png(Image.fromarray(GREY)),
        {"bytes": png(Image.fromarray(GREY)), "path": None},
        Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (3, 2), 255)]),
    ],
    ids=lambda item: type(item).__name__,
)
def test_where_an_item_has_its_image(item):
    np.testing.assert_array_equal(as_array(item, 1, "x").reshape(GREY.shape), GREY)


def test_pillow_images_of_other_modes():
    grey = Image.fromarray(GREY)
    np.testing.assert_array_equal(as_array(grey, 3, "x"), np.stack([GREY] * 3, axis=-1))
    rgb = grey.convert("RGB")
    np.testing.assert_array_equal(as_array(rgb.quantize(), 3, "x"), np.asarray(rgb))
    mask = Image.fromarray(GREY > 100)
    np.testing.assert_array_equal(as_array(mask, 1, "x")[..., 0], np.where(GREY > 100, 255, 0))


@pytest.mark.parametrize(
    ("item", "channels", "sentence"),
    [
        (Image.new("RGB", (2, 2)), 1, "x is a Pillow image of mode RGB; .* 1 channel"),
        (Image.new("I;16", (2, 2)), 1, "mode I;16"),
        (Image.new("CMYK", (2, 2)), 3, "mode CMYK.*convert"),
        (Image.new("RGBA", (2, 2), (0, 0, 0, 9)), 3, "transparent pixels"),
        ({"label": 1, "picture": GREY}, 1, "entries label, picture; which is the image"),
        (b"no image", 1, "x is no readable image"),
        (object(), 1, "x has shape"),
    ],
)
def test_what_is_no_image_of_the_model_is_told(item, channels, sentence):
    with pytest.raises(DataError, match=sentence):
        as_batch(as_array(item, channels, "x"), (2, 2, channels), "x")


def test_16_bits_a_channel_are_not_halved():
    deep = np.arange(18, dtype=np.uint16).reshape(2, 3, 3) * 3000
    data = deep_png(deep)
    np.testing.assert_array_equal(as_array(data, 3, "x"), deep)
    with Image.open(io.BytesIO(data)) as opened, pytest.raises(DataError, match="16 bits a chan"):
        as_array(opened, 3, "x")
    with pytest.raises(DataError, match="transparent pixels"):
        as_array(deep_png(np.dstack([deep, deep[..., :1]])), 3, "x")
