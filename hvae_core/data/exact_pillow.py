"""What Pillow alone would read wrongly: 16 bits a channel of PNG files, turned TIFF files."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from hvae_core.interfaces import ImageValues

#: how Pillow reads the upper bytes of the samples, and with which formats we read both
_BOTH = {"RGB;16B": ("RGB;16B", "RGB;16L"), "RGBA;16B": ("RGBA;16B", "RGBA;16L")}
_GREY_AND_ALPHA = "LA;16B"
_OPAQUE = 2**16 - 1


@dataclasses.dataclass(frozen=True)
class DeepImage:
    """Samples of 16 bits.

    Args:
        colour: uint16 [H, W, 1] or [H, W, 3].
        alpha: uint16 [H, W, 1], the opacity; None where all is opaque.
    """

    colour: np.ndarray
    alpha: np.ndarray | None = None


@contextlib.contextmanager
def open_image(data: bytes | Path) -> Iterator[Any]:
    """An image file as Pillow opens it.

    A file is opened here: where Pillow maps it to memory, it scrambles grey TIFF files that are to
    be turned by a quarter.

    Args:
        data: the encoded image, or its file.

    Raises:
        OSError: it is damaged, of an unknown format, or not there.
    """
    with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as file:
        try:
            image = Image.open(file)
        except UnidentifiedImageError:  # whose message names the open file
            raise UnidentifiedImageError("its format is not known") from None
        with image:
            yield image


def has_deep_colour(image: Any) -> bool:
    """Whether Pillow would give the upper 8 of 16 bits a channel, of an image not yet loaded."""
    deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    return deep and not image.mode.startswith("I")


def read_deep_png(image: Any, data: bytes | Path) -> DeepImage | None:
    """All 16 bits of a PNG file, turned as its EXIF data say.

    Args:
        image: the file as Pillow opened it, not yet loaded.
        data: the encoded image, or its file.

    Returns:
        None where it is no PNG file with 16 bits a channel.

    Raises:
        OSError: it is damaged.
    """
    if image.format != "PNG" or not any(";16" in str(tile[3]) for tile in image.tile):
        return None
    stored = str(image.tile[0][3])
    hidden = image.info.get("transparency")
    samples: np.ndarray
    if image.mode.startswith("I"):
        samples = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)[..., None]
    elif stored == _GREY_AND_ALPHA:  # four bytes a pixel, whatever they are
        pairs = _bytes(data, "RGBA").astype(np.uint16)
        samples = pairs[..., ::2] << 8 | pairs[..., 1::2]
    elif stored in _BOTH:
        upper, lower = (_bytes(data, form).astype(np.uint16) for form in _BOTH[stored])
        samples = upper << 8 | lower
    else:
        return None
    colour, alpha = samples, None
    if samples.shape[-1] in (2, 4):
        colour, alpha = samples[..., :-1], samples[..., -1:]
    elif hidden is not None:
        is_hidden = (samples == np.asarray(hidden)).all(axis=-1, keepdims=True)
        alpha = np.where(is_hidden, 0, _OPAQUE).astype(np.uint16)
    opaque = alpha is None or (alpha == _OPAQUE).all()
    return DeepImage(colour, None if opaque else alpha)


def laid_on(
    background: str, colour: np.ndarray, alpha: np.ndarray, values: ImageValues
) -> np.ndarray:
    """A transparent image on a background.

    Args:
        background: its colour, as a name or ``#rrggbb``.
        colour: native values [H, W, 1 or 3].
        alpha: uint16 [H, W, 1], the opacity.
        values: what the values are; black is their lower end and white their upper.
    """
    mode = "L" if colour.shape[-1] == 1 else "RGB"
    behind = np.array(ImageColor.getcolor(background, mode), np.float64) / 255
    behind = values.low + behind * (values.high - values.low)
    opacity = alpha / _OPAQUE
    return values.rounded(colour * opacity + behind * (1 - opacity))


def _bytes(data: bytes | Path, form: str) -> np.ndarray:
    """One byte of each sample, read with a raw mode of Pillow's: uint8 [H, W, C]."""
    with open_image(data) as image:
        image.tile = [tile._replace(args=form) for tile in image.tile]
        return np.asarray(ImageOps.exif_transpose(image))
