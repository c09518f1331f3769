"""From what Python code gives for an image to native values, without loss or not at all."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from hvae_core.data.decode import DECODING_ERRORS
from hvae_core.data.exact_pillow import DeepImage, has_deep_colour, open_image, read_deep_png
from hvae_core.data.held_values import held_values
from hvae_core.errors import DataError
from hvae_core.interfaces import UINT8, ImageValues, Shape3
from hvae_core.interfaces.image_shapes import check_image_shape

#: where an item that is a mapping has its image
IMAGE_KEYS = ("image", "img", "images", "pixel_values", "x")
#: Pillow's modes of one channel that hold such values
MODES = {
    "uint8": (),
    "uint16": ("I;16", "I;16L", "I;16B", "I;16N", "I"),
    "float32": ("F", "I;16", "I;16L", "I;16B", "I;16N", "I"),
}
#: how far a value times 255 may be from a whole number: float32 is within 2e-5
_ROUNDING = 1e-3


def as_array(item: Any, channels: int, where: str, values: ImageValues = UINT8) -> np.ndarray:
    """The image or the images of an item, in whatever dtype and layout it has.

    Args:
        item: an array, a tensor of any library, a Pillow image, an encoded image, nested lists; or
            a tuple that begins with one, or a mapping that has one under one of `IMAGE_KEYS`.
        channels: wanted of a Pillow image: grey ones become RGB, nothing else is converted.
        where: names the item in messages.
        values: wanted of a Pillow image of one channel: 16 bits or floating-point numbers are read
            where they are the model's.

    Raises:
        DataError: it holds no image.
    """
    if isinstance(item, Mapping):
        return as_array(_entry(item, where), channels, where, values)
    if isinstance(item, bytes):
        try:
            with open_image(item) as opened:
                deep = read_deep_png(opened, item)
                if deep is None:
                    return _from_pillow(opened, channels, where, values)
                return _from_deep(deep, channels, where)
        except DECODING_ERRORS as error:
            raise DataError(f"{where} is no readable image ({error}).") from error
    if isinstance(item, Image.Image):
        return _from_pillow(item, channels, where, values)
    if isinstance(item, tuple | list) and item and not isinstance(item[0], numbers.Number | list):
        return as_array(item[0], channels, where, values)
    try:
        return np.asarray(detached(item))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{where} is of type {type(item).__name__}, which is no array of numbers ({error}).",
            "Give NumPy arrays, tensors or Pillow images.",
        ) from error


def detached(item: Any) -> Any:
    """The item; of PyTorch's tensors without the gradient, and in memory, as NumPy takes them."""
    return item.detach().cpu() if hasattr(item, "detach") else item


def _entry(item: Mapping[Any, Any], where: str) -> Any:
    """The image of a mapping, such as a row of a table."""
    for key in IMAGE_KEYS:
        if key in item:
            return item[key]
    if isinstance(item.get("bytes"), bytes):  # an undecoded cell of a Hugging Face data set
        return item["bytes"]
    raise DataError(
        f"{where} has the entries {', '.join(map(str, item))}; which is the image is not known.",
        f"Name it {IMAGE_KEYS[0]!r}, or give tuples that begin with the image.",
    )


def _from_deep(image: DeepImage, channels: int, where: str) -> np.ndarray:
    if image.alpha is None:
        return image.colour
    if channels == image.colour.shape[-1] + 1:
        return np.concatenate([image.colour, image.alpha], axis=-1)
    raise _transparent(where)


def _transparent(where: str) -> DataError:
    return DataError(
        f"{where} has transparent pixels.", "Lay it on a background of your choice first."
    )


def _from_pillow(image: Image.Image, channels: int, where: str, values: ImageValues) -> np.ndarray:
    if has_deep_colour(image):
        raise DataError(
            f"{where} has 16 bits a channel, of which Pillow reads the upper 8.",
            "Give the bytes of its PNG file, or an array.",
        )
    if channels == 1 and image.mode in MODES[values.dtype]:
        return np.asarray(image)[..., None]
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("RGBA", "LA") and channels < len(image.mode):
        if image.getextrema()[-1] != (255, 255):
            raise _transparent(where)
        image = image.convert(image.mode[:-1])
    if image.mode == "L" and channels == 3:
        image = image.convert("RGB")
    bands = len(image.getbands())
    if bands != channels or image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise DataError(
            f"{where} is a Pillow image of mode {image.mode}; the model's images have {channels} "
            f"channel{'s' if channels > 1 else ''} of {values}.",
            f"Convert it first, as in image.convert({'L' if channels == 1 else 'RGB'!r}).",
        )
    return np.asarray(image).reshape(image.height, image.width, bands)


def as_batch(
    array: np.ndarray, shape: Shape3, where: str, single: bool = True
) -> tuple[np.ndarray, bool]:
    """View an image or several as [n, H, W, C].

    Args:
        array: [H, W, C], [C, H, W], with one channel also [H, W]; or several such.
        shape: [H, W, C] wanted. It decides between the layouts; where both fit, channels are last.
        where: names the array in messages.
        single: whether it may be one image.

    Returns:
        The view, and whether it was one image.

    Raises:
        DataError: it is of another shape.
    """
    height, width, channels = shape
    planes = (channels, height, width)
    forms = (shape, planes, (height, width)) if channels == 1 else (shape, planes)
    for form in forms:
        is_one = single and array.shape == form
        if not is_one and (array.ndim != len(form) + 1 or array.shape[1:] != form):
            continue
        if form == planes != shape:
            array = np.moveaxis(array, -3, -1)
        return array.reshape(-1, *shape) if is_one or array.ndim == 3 else array, is_one
    check_image_shape(array.shape, shape, f"{where} has", batch=not single, kind=DataError)
    raise AssertionError("the shape is refused above")


def unit_of(array: np.ndarray) -> int | None:
    """What the values are multiplied by to be 0 to 255: 1, 255, or None if all are 0 or 1."""
    if array.dtype == bool:
        return 255
    if array.dtype.kind not in "iuf":
        return 1  # which `quantized` refuses
    if not array.size:
        return None
    if array.max() > 1:
        return 1
    return None if ((array == 0) | (array == 1)).all() else 255 if array.dtype.kind == "f" else 1


def common_unit(units: set[int | None], floating: bool, where: str) -> int:
    """What the values of a whole data set are multiplied by.

    Args:
        units: what `unit_of` said of its parts.
        floating: whether the values are floating-point numbers.
        where: names the data set in messages.

    Raises:
        DataError: the parts disagree, or all values are the integers 0 and 1.
    """
    known = units - {None}
    if len(known) == 1:
        return known.pop() or 1
    if known:
        raise DataError(
            f"{where} has images with values up to 1 and others with larger ones.",
            "Give all with values from 0 to 255.",
        )
    if floating:
        return 255
    raise DataError(
        f"All values of {where} are 0 or 1; expected 0 to 255.", "Multiply the images by 255."
    )


def native(array: np.ndarray, values: ImageValues, where: str) -> np.ndarray:
    """The numbers as the values that they are to be, see `ImageValues.exact`.

    Raises:
        DataError: they are others.
    """
    exact = values.exact(array)
    if exact is not None:
        return exact
    if values.is_discrete:
        expected, hint = (
            f"whole numbers from 0 to {values.high:.0f}",
            ("Set values.bits to those of the images, or bring them to this range."),
        )
    else:
        expected, hint = "finite numbers that float32 holds", "Leave out what is not finite."
    raise DataError(f"{where} holds {held_values(array)}; expected {expected}.", hint)


def quantized(array: np.ndarray, unit: int, where: str) -> np.ndarray:
    """The values as uint8, where nothing is lost by it.

    Args:
        array: uint8; bool; integers from 0 to 255; floating-point numbers that are whole and from
            0 to 255, or with ``unit`` 255 multiples of 1/255 from 0 to 1.
        unit: what the values are multiplied by, see `common_unit`.
        where: names the array in messages.

    Raises:
        DataError: something would be lost.
    """
    if array.dtype == np.uint8:
        return array if unit == 1 else array * np.uint8(unit)
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise DataError(
            f"{where} holds values of type {array.dtype}; expected uint8.",
            "Give an array of numbers from 0 to 255.",
        )
    scaled = np.asarray(array, np.float64) * unit
    whole = np.rint(scaled)
    tolerance = _ROUNDING if unit != 1 else 0.0
    lossless = np.isfinite(scaled).all() and bool((np.abs(scaled - whole) <= tolerance).all())
    if lossless and (whole.size == 0 or (whole.min() >= 0 and whole.max() <= 255)):
        return whole.astype(np.uint8)
    raise DataError(
        f"{where} holds {held_values(array)}; expected "
        "uint8 from 0 to 255, or the same values as other numbers: whole, or multiples of 1/255 "
        "up to 1.",
        "Give the pixels as they were before they were standardised; hvae does that itself. More "
        "than 8 bits need data.values.dtype=uint16 or float32 and a likelihood for it, or are "
        "brought to 8: (x / x.max() * 255).round().astype('uint8').",
    )
