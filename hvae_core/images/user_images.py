"""An image file of the user's, brought to the shape a model takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hvae_core.data.binarize import Binarization, binarize_once, draw
from hvae_core.data.decode import DECODING_ERRORS
from hvae_core.errors import DataError

if TYPE_CHECKING:
    from hvae_core.config import Config


@dataclasses.dataclass(frozen=True)
class FittedImage:
    """Pixels uint8 [H, W, C], and what was done to the file's in words, or ""."""

    pixels: np.ndarray
    note: str


def read_user_image(
    path: str | Path,
    shape: tuple[int, int, int],
    *,
    max_pixels: int | None = None,
    name: str | None = None,
) -> FittedImage:
    """Read an image file, crop it to the shape's proportions and resize it.

    Args:
        path: a file that Pillow reads.
        shape: [H, W, C] with C of 1 (grey) or 3 (RGB).
        max_pixels: refuse a larger image, before it is decoded.
        name: what messages call the file; its path where none is given.

    Raises:
        DataError: there is no such file, it is no image, or it is too large; names the file.
    """
    height, width, channels = shape
    name = name or str(path)
    try:
        with Image.open(path) as file:
            if max_pixels is not None and file.width * file.height > max_pixels:
                raise DataError(
                    f"{name} has {file.width}x{file.height} pixels; at most {max_pixels:,} are "
                    "accepted.",
                    "Give a smaller image.",
                )
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):
                # Pillow would clip 16-bit grey values instead of scaling them.
                image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
            mode = "L" if channels == 1 else "RGB"
            note = _note(image, width, height, mode)
            image = ImageOps.fit(image.convert(mode), (width, height), Image.Resampling.LANCZOS)
            return FittedImage(np.asarray(image, dtype=np.uint8).reshape(shape), note)
    except FileNotFoundError:
        raise DataError(f"There is no file {name}.") from None
    except UnidentifiedImageError:
        raise DataError(
            f"{name} cannot be read as an image.", "Give a PNG, JPEG or WebP file."
        ) from None
    except DECODING_ERRORS as error:
        raise DataError(
            f"{name} cannot be read as an image: {error}.", "Give a PNG, JPEG or WebP file."
        ) from None


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


def _note(image: Image.Image, width: int, height: int, mode: str) -> str:
    """What fitting does to the image: centred crop, resampling, loss of colour."""
    scale = min(image.width / width, image.height / height)
    crop = (round(width * scale), round(height * scale))
    done = []
    if crop != image.size:
        done.append(f"cropped from {image.width}x{image.height} to {crop[0]}x{crop[1]}")
    if crop != (width, height):
        done.append(f"resized to {width}x{height}")
    if mode == "L" and image.mode not in ("1", "L", "LA"):
        done.append("turned grey")
    text = ", ".join(done)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
