"""An image file of the user's, brought to the shape a model takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hvae_core.data.binarize import Binarization, binarize_once, draw
from hvae_core.data.decode import DECODING_ERRORS, cannot_decode
from hvae_core.data.exact_pillow import DeepImage, laid_on, open_image, read_deep_png
from hvae_core.data.image_decoding import Refused, beyond_pillow
from hvae_core.data.pixels import MODES, native
from hvae_core.errors import DataError
from hvae_core.interfaces import UINT8, ImageValues

if TYPE_CHECKING:
    from hvae_core.config import Config


_LAID = "Transparent pixels laid on white."


@dataclasses.dataclass(frozen=True)
class FittedImage:
    """Native values [H, W, C], and what was done to the file's in words, or ""."""

    pixels: np.ndarray
    note: str


def read_user_image(
    path: str | Path,
    shape: tuple[int | None, int | None, int],
    *,
    values: ImageValues = UINT8,
    max_pixels: int | None = None,
    name: str | None = None,
    padding: int = 0,
) -> FittedImage:
    """Read an image file, crop it to the shape's proportions and resize it.

    For values that are not uint8, files with 16 bits or floating-point numbers are read as they
    are; the 8 bits of other pictures are brought to the values' range. Of images that
    are neither grey nor RGB, a picture as `as_pictures` makes it is read: their channels side by
    side, of the model's size. Of 16 bits the upper 8 are taken, where the model's images have 8;
    what is transparent is laid on white.

    Args:
        path: a file that Pillow reads.
        shape: [H, W, C]; where H and W are None, the file's own size is kept.
        values: what the model's images are.
        max_pixels: refuse a larger image, before it is decoded.
        name: what messages call the file; its path where none is given.
        padding: black pixels at each side of the images the model was trained on, see
            `padding_of`. An 8-bit image that is smaller by just these gets them, and keeps its
            scale.

    Raises:
        DataError: there is no such file, it is no image, or it is too large; names the file.
    """
    channels = shape[-1]
    name = name or str(path)
    try:
        with open_image(Path(path)) as file:
            if max_pixels is not None and file.width * file.height > max_pixels:
                raise DataError(
                    f"{name} has {file.width}x{file.height} pixels; at most {max_pixels:,} are "
                    "accepted.",
                    "Give a smaller image.",
                )
            if values != UINT8 and channels in (1, 3):
                png = read_deep_png(file, Path(path))
                if png is not None:
                    return _deep_png(png, shape, values, name)
            deep = beyond_pillow(Path(path), file, max_pixels)
            if deep is not None and deep.shape[-1] > 1:
                return _fitted(deep, shape, values, name)
            image = ImageOps.exif_transpose(file)
            side_by_side = 1 if channels in (1, 3) else channels
            height = shape[0] or image.height
            width = shape[1] or max(1, image.width // side_by_side)
            if channels in (1, 3) and values != UINT8 and image.mode in MODES["float32"]:
                return _fitted(np.asarray(image)[..., None], shape, values, name)
            if channels not in (1, 3):
                return _side_by_side(image, (height, width, channels), values, name)
            image, lost = _as_bytes(image, file.format, name)
            image, laid = _laid_on_white(image)
            mode = "L" if channels == 1 else "RGB"
            if padding and image.size == (width - 2 * padding, height - 2 * padding):
                image = ImageOps.expand(image.convert(mode), padding)
                laid = f"{laid} Padded by {padding} pixels at each side.".strip()
            note = " ".join(filter(None, (lost, laid, _note(image, width, height, mode))))
            image = ImageOps.fit(image.convert(mode), (width, height), Image.Resampling.LANCZOS)
            pixels = np.asarray(image, dtype=np.uint8).reshape(height, width, channels)
            return FittedImage(_in_range(pixels, values), f"{note} {_brought(values)}".strip())
    except FileNotFoundError:
        raise DataError(f"There is no file {name}.") from None
    except UnidentifiedImageError:
        if max_pixels is None and (deep := _of_tifffile(path, name)) is not None:
            return _fitted(deep, shape, values, name)
        raise DataError(
            f"{name} cannot be read as an image.", "Give a PNG, JPEG or WebP file."
        ) from None
    except Refused as error:
        raise cannot_decode(name, error) from None
    except DECODING_ERRORS as error:
        raise DataError(
            f"{name} cannot be read as an image: {error}.", "Give a PNG, JPEG or WebP file."
        ) from None


def _of_tifffile(path: str | Path, name: str) -> np.ndarray | None:
    """The numbers of a TIFF file that Pillow does not know; None: it is no such file."""
    try:
        return beyond_pillow(Path(path))
    except Refused as error:
        raise cannot_decode(name, error) from None


def _deep_png(
    image: DeepImage, shape: tuple[int | None, int | None, int], values: ImageValues, name: str
) -> FittedImage:
    """All 16 bits of a PNG file, for values that are not uint8."""
    colour = native(image.colour, values, name)
    if image.alpha is None:
        return _fitted(colour, shape, values, name)
    return _fitted(laid_on("white", colour, image.alpha, values), shape, values, name, _LAID)


def _fitted(
    array: np.ndarray,
    shape: tuple[int | None, int | None, int],
    values: ImageValues,
    name: str,
    done: str = "",
) -> FittedImage:
    """Numbers [H, W, C] of more than 8 bits, brought to a size; ``done``: what was done to them."""
    if values == UINT8 and array.dtype == np.uint16:
        array, done = (array >> 8).astype(np.uint8), "Brought from 16 bits to 8."
    array = native(array, values, name)
    channels = shape[-1]
    if array.shape[-1] == 1 and channels == len("RGB"):
        array = np.repeat(array, channels, axis=-1)
    if array.shape[-1] != channels:
        found = array.shape[-1]
        raise DataError(
            f"{name} has {found} channel{'s' if found > 1 else ''}; expected {channels}.",
            "Give images of the model's channels.",
        )
    width, height = shape[1] or array.shape[1], shape[0] or array.shape[0]
    planes = [Image.fromarray(array[..., k].astype(np.float32)) for k in range(channels)]
    note = " ".join(filter(None, (done, _note(planes[0], width, height, "F"))))
    if planes[0].size != (width, height):
        fitted = [ImageOps.fit(p, (width, height), Image.Resampling.LANCZOS) for p in planes]
        array = values.rounded(np.stack([np.asarray(plane) for plane in fitted], axis=-1))
    return FittedImage(np.ascontiguousarray(array), note)


def padding_of(config: Config) -> int:
    """The black pixels at each side of the images a model was trained on."""
    return int(getattr(config.data.options, "padding", 0))


def as_trained_on(fitted: FittedImage, config: Config, seed: int = 0) -> FittedImage:
    """The image binarized, where the model was trained on binarized images.

    Args:
        fitted: the image.
        config: the model's configuration.
        seed: of the draw, where pixels are drawn.
    """
    kind: Binarization = getattr(config.data.options, "binarization", "none")
    if kind == "none" or np.isin(fitted.pixels, (0, 255)).all():
        return fitted
    if kind == "dynamic":
        pixels = draw(fitted.pixels, np.random.default_rng(seed))
    else:
        pixels = binarize_once(fitted.pixels, kind, seed)
    return FittedImage(pixels, f"{fitted.note} Binarized.".strip())


def _as_bytes(image: Image.Image, file_format: str | None, name: str) -> tuple[Image.Image, str]:
    """An image of 8 bits, of which Pillow would cut off or clip what is more; and what was done."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image, ""
    array = np.asarray(image)
    if image.mode.startswith("I;16") or file_format == "PNG":
        return Image.fromarray((array.astype(np.uint32) >> 8).astype(np.uint8)), (
            "Brought from 16 bits to 8."
        )
    return Image.fromarray(native(array, UINT8, name)), ""


def _laid_on_white(image: Image.Image) -> tuple[Image.Image, str]:
    """The image on white where it is transparent, and whether it was."""
    if not image.has_transparency_data:
        return image, ""
    layer = image.convert("RGBA")
    if layer.getextrema()[-1] == (255, 255):
        return image, ""
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB"), _LAID


def _in_range(pixels: np.ndarray, values: ImageValues) -> np.ndarray:
    """8 bits as values of the range."""
    if values == UINT8:
        return pixels
    return values.rounded(values.low + pixels * ((values.high - values.low) / 255))


def _brought(values: ImageValues) -> str:
    if values == UINT8:
        return ""
    return f"Brought from 8 bits to {values.low:g} to {values.high:g}."


def _side_by_side(
    image: Image.Image, shape: tuple[int, int, int], values: ImageValues, name: str
) -> FittedImage:
    height, width, channels = shape
    if image.size != (width * channels, height):
        raise DataError(
            f"{name} is a picture of {image.width}x{image.height} pixels; the model's images have "
            f"{channels} channels.",
            f"Give an .npy or .npz file, or their channels side by side, {width * channels} pixels "
            f"wide and {height} high.",
        )
    grey = np.asarray(image.convert("L")).reshape(height, channels, width)
    pixels = np.ascontiguousarray(grey.transpose(0, 2, 1))
    return FittedImage(_in_range(pixels, values), _brought(values))


def _note(image: Image.Image, width: int, height: int, mode: str) -> str:
    """What fitting does to the image: centred crop, resampling, loss of colour."""
    scale = min(image.width / width, image.height / height)
    crop = (round(width * scale), round(height * scale))
    done = []
    if crop != image.size:
        done.append(f"cropped from {image.width}x{image.height} to {crop[0]}x{crop[1]}")
    if crop != (width, height):
        done.append(f"resized to {width}x{height}")
    if mode == "L" and image.mode not in ("1", "L", "LA", *MODES["float32"]):
        done.append("turned grey")
    text = ", ".join(done)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
