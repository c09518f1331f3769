"""From one encoded image (PNG, JPEG, WebP, TIFF) to native values of the wanted size.

More than 8 bits are read as they are or refused: Pillow alone would clip, cut off or wrap them.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageColor, ImageOps

from hvae_core.data import tiff
from hvae_core.data.exact_pillow import (
    DeepImage,
    has_deep_colour,
    laid_on,
    open_image,
    read_deep_png,
)
from hvae_core.data.held_values import held_values
from hvae_core.errors import DataError
from hvae_core.interfaces import UINT8, ImageValues

Crop = Literal["center", "none"]
#: the background that leaves transparency out of account, as configurations of format 1 do
DROP = "drop"
_PICTURES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_TRANSPARENT = frozenset({"LA", "PA", "RGBA", "La", "RGBa"})
#: tags of a TIFF file
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0
_OPAQUE = (255, 255)


class Refused(ValueError):
    """An image that is intact, but cannot be taken as it is asked for without loss.

    Args:
        reason: what it has, after the image's name in a sentence.
        hint: how to mend it.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How images are decoded.

    Args:
        channels: wanted: 1 (grey) and 3 (RGB) are made of each other where an image has 8 bits; 4
            keeps transparency; any other number has to be the image's own.
        size: height and width of the result in pixels, or None to leave the size as it is.
            Resampling is Lanczos, which is a proper low-pass filter when it reduces.
        crop: ``"center"`` cuts out the largest central part of the size's proportions first;
            ``"none"`` stretches.
        values: what the numbers of the result are. They are the image's own, never scaled.
        background: the colour that transparent pixels are laid on, as a name or ``#rrggbb``; None:
            they are refused; `DROP`: the colours that they hide are taken.
        reduce_bits: take the upper 8 of 16 bits where ``values`` are uint8.
    """

    channels: int
    size: tuple[int, int] | None = None
    crop: Crop = "center"
    values: ImageValues = UINT8
    background: str | None = None
    reduce_bits: bool = False

    def __call__(self, data: bytes | Path) -> np.ndarray:
        """Decode one image.

        Args:
            data: the encoded image, or its file.

        Returns:
            [H, W, channels] of the values' type.

        Raises:
            OSError: the image is damaged, truncated or of an unknown format
                (`hvae_core.data.decode.DECODING_ERRORS` lists all types).
            Refused: something would be lost.
            MissingDependencyError: it needs tifffile, which is not installed.
        """
        try:
            with open_image(data) as opened:
                if not (_is_tiff(data) and _exceeds_pillow(opened)):
                    if not (self.values == UINT8 and self.reduce_bits):
                        if (deep := read_deep_png(opened, data)) is not None:
                            return self._fitted(self._deep(deep))
                        _check_bits(opened)
                    return self._picture(opened)
        except Image.UnidentifiedImageError:
            if not _is_tiff(data):
                raise
        return self._fitted(self._exact(_read_tiff(data)))

    def _deep(self, image: DeepImage) -> np.ndarray:
        """What a PNG file of 16 bits a channel holds."""
        colour, alpha = image.colour, image.alpha
        if self.channels == colour.shape[-1] + 1 and self.channels in (2, 4):
            opaque = np.full_like(colour[..., :1], 2**16 - 1)
            return self._exact(np.concatenate([colour, opaque if alpha is None else alpha], -1))
        exact = self._exact(colour)
        if alpha is None or self.background == DROP:
            return exact
        if self.background is None:
            raise _transparent()
        return laid_on(self.background, exact, alpha, self.values)

    def _picture(self, opened: Image.Image) -> np.ndarray:
        """What Pillow reads."""
        image = ImageOps.exif_transpose(opened)
        if image.mode == "F" or image.mode.startswith("I"):
            array = np.asarray(image)
            if opened.format == "PNG":  # older versions of Pillow read its 16 bits as 32
                array = array.astype(np.uint16)
            return self._fitted(self._exact(array[..., None]))
        mode = _PICTURES.get(self.channels)
        if mode is None:
            raise _of_other_channels(len(image.getbands()), self.channels)
        if not mode.endswith("A"):
            image = self._laid_out(image)
        image = image.convert(mode)
        if self.values != UINT8:
            array = np.asarray(image).reshape(image.height, image.width, self.channels)
            return self._fitted(self._exact(array))
        if self.size is not None and image.size != (wanted := self.size[::-1]):
            box = self._box(image.size)
            image = image.resize(wanted, Image.Resampling.LANCZOS, box=box)
        return np.asarray(image).reshape(image.height, image.width, self.channels)

    def _laid_out(self, image: Image.Image) -> Image.Image:
        """The image on the background, where it is transparent."""
        is_transparent = image.mode in _TRANSPARENT or "transparency" in image.info
        if not is_transparent or self.background == DROP:
            return image
        layer = image.convert("RGBA")
        if layer.getextrema()[-1] == _OPAQUE:
            return image
        if self.background is None:
            raise _transparent()
        colour = ImageColor.getrgb(self.background)[:3]
        return Image.alpha_composite(Image.new("RGBA", layer.size, (*colour, 255)), layer)

    def _exact(self, array: np.ndarray) -> np.ndarray:
        """Numbers [H, W, C] as the values that they are to be."""
        found = array.shape[-1]
        if found == 1 and self.channels == len("RGB"):
            array = np.repeat(array, self.channels, axis=-1)
        elif found != self.channels:
            raise _of_other_channels(found, self.channels)
        if self.values == UINT8 and self.reduce_bits and array.dtype == np.uint16:
            return (array >> 8).astype(np.uint8)
        exact = self.values.exact(array)
        if exact is not None:
            return exact
        hint = "Set data.values to what the images are."
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            hint = "Replace what is not finite, or leave the image out."
        if self.values == UINT8:
            deep = array.dtype == np.uint16
            hint = f"Set data.values.dtype to {'uint16' if deep else 'float32'}, with a likelihood"
            hint += (
                " for it, or data.reduce_bits=true for the upper 8 bits." if deep else " for it."
            )
        raise Refused(f"holds {held_values(array)}; expected {self.values}", hint)

    def _fitted(self, array: np.ndarray) -> np.ndarray:
        """Values [H, W, C] of the wanted size; each channel is resampled by itself."""
        height, width = array.shape[:2]
        if self.size is None or (height, width) == self.size:
            return array
        box, wanted = self._box((width, height)), self.size[::-1]
        planes = [
            Image.fromarray(np.ascontiguousarray(array[..., channel], np.float32)).resize(
                wanted, Image.Resampling.LANCZOS, box=box
            )
            for channel in range(array.shape[-1])
        ]
        return self.values.rounded(np.stack([np.asarray(plane) for plane in planes], axis=-1))

    def _box(self, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """The part of an image of such a width and height that is resampled; None: all of it."""
        if self.size is None or self.crop == "none":
            return None
        (width, height), (rows, columns) = size, self.size
        scale = min(width / columns, height / rows)
        across, down = max(1, round(columns * scale)), max(1, round(rows * scale))
        left, top = (width - across) // 2, (height - down) // 2
        return (left, top, left + across, top + down)


def beyond_pillow(
    data: bytes | Path, opened: Any = None, max_pixels: int | None = None
) -> np.ndarray | None:
    """The numbers [H, W, C] of an opaque image that Pillow alone would not give as they are.

    Args:
        data: the encoded image, or its file.
        opened: as `open_image` opened it; None: Pillow does not know it.
        max_pixels: refuse a TIFF file of more, before it is decoded.

    Returns:
        None where Pillow gives them, or nobody can read it.

    Raises:
        Refused: it is a TIFF file of several images, or of a kind that is not read, or too large.
        MissingDependencyError: it needs tifffile, which is not installed.
    """
    if _is_tiff(data):
        if opened is not None and not _exceeds_pillow(opened):
            return None
        return _read_tiff(data, max_pixels)
    deep = None if opened is None else read_deep_png(opened, data)
    return None if deep is None or deep.alpha is not None else deep.colour


def _is_tiff(data: bytes | Path) -> bool:
    if isinstance(data, bytes):
        return data[:4] in tiff.MAGIC
    with data.open("rb") as file:
        return file.read(4) in tiff.MAGIC


def _exceeds_pillow(image: Any) -> bool:
    """Whether a TIFF file has more images than its first page, or numbers that Pillow changes."""
    try:
        if tiff.first_own_pages(image) != [0]:
            return True
    except SyntaxError:  # of a page of a kind that Pillow does not know, such as a mask
        return True
    bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    if image.mode.startswith("I;16") and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        return True
    return bits > 8 and image.mode != "F" and not image.mode.startswith("I;16")


def _read_tiff(data: bytes | Path, max_pixels: int | None = None) -> np.ndarray:
    """The one image of a TIFF file, [H, W, C], by tifffile; any other is not even decoded."""

    def check(shape: tuple[int, int, int, int]) -> None:
        count, height, width, channels = shape
        if count != 1:
            raise Refused(
                f"is a TIFF file of {count} images; expected one",
                "Save its images one by one, or read it with the data set arrays.",
            )
        # Pillow was asked for the size of the first page alone, which may be of another image.
        most = math.inf if max_pixels is None else max_pixels
        if height * width * max(1, channels / len("RGBA")) > most:
            raise Refused(
                f"has {width}x{height} pixels of {channels} channels; at most {most:,} of 4 are "
                "accepted",
                "Give a smaller image.",
            )

    try:
        images = tiff.read_tiff(data, check)
    except DataError as error:
        raise Refused(f"is a TIFF file that is not read: {error.message}", error.hint) from error
    return np.array(images[0])


def _check_bits(image: Any) -> None:
    """Refuse 16 bits a channel of which Pillow gives the upper 8."""
    if has_deep_colour(image):
        raise Refused(
            f"has 16 bits a channel in a {image.format} file, which are read of PNG and TIFF "
            "files alone",
            "Save it as PNG or TIFF, or all images as one .npy file for the data set arrays.",
        )


def _transparent() -> Refused:
    return Refused(
        "has transparent pixels",
        "Name the colour to lay them on, as in data.background=white; drop takes the colours that "
        "they hide.",
    )


def _of_other_channels(found: int, wanted: int) -> Refused:
    return Refused(
        f"has {found} channel{'s' if found > 1 else ''}; expected {wanted}",
        "Set data.channels to those of the images, or convert them.",
    )
