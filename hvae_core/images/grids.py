"""Pictures of images in a grid, written with Pillow alone."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.files.replacing import replace_file
from hvae_core.interfaces import UINT8, ImageValues

#: pixels of an enlarged image's side that a grid aims at
_TARGET_SIDE = 64
_GAP = 2
#: pixels of the largest grid that `check_grid` lets through
LARGEST_GRID = 10_000 * 10_000
#: pixels of its longest side, beyond which many programs open no picture
LONGEST_SIDE = 65_535


def as_pictures(images: np.ndarray, values: ImageValues) -> np.ndarray:
    """Images as they are shown: uint8 [N, H, W, 1 or 3].

    Other values than uint8 are brought from their range to 0 to 255 and cut off there. Images that
    are neither grey nor RGB become grey ones with their channels side by side, [N, H, W C, 1].

    Args:
        images: [N, H, W, C].
        values: what their numbers are.
    """
    if values != UINT8:
        scaled = (np.asarray(images, np.float64) - values.low) / (values.high - values.low)
        # What is not finite is shown as black.
        scaled = np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=0.0)
        images = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    count, height, width, channels = images.shape
    if channels in (1, 3):
        return images
    return images.transpose(0, 1, 3, 2).reshape(count, height, channels * width, 1)


def make_grid(
    images: np.ndarray,
    columns: int | None = None,
    scale: int | None = None,
    values: ImageValues = UINT8,
) -> np.ndarray:
    """Images side by side on white.

    Args:
        images: [N, H, W, C], row by row; shown as `as_pictures` has them.
        columns: images in a row; by default the grid is about square.
        scale: every pixel becomes ``scale`` x ``scale``; by default small images are enlarged
            to about 64 pixels.
        values: what their numbers are.

    Returns:
        uint8 [height, width, 1 or 3].

    Raises:
        BadInputError: the images, ``columns`` or ``scale`` are of no use.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != values.dtype:
        raise BadInputError(
            f"A grid needs images of {values.dtype} [N, H, W, C]; these are {images.dtype} "
            f"{list(images.shape)}."
        )
    if not len(images):
        raise BadInputError("A grid needs at least one image; there are none.")
    images = as_pictures(images, values)
    count, height, width, channels = images.shape
    rows, columns, scale = _layout(count, height, width, columns, scale)
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale, width * scale
    grid = np.full((*_size(rows, columns, height, width), channels), 255, np.uint8)
    for index, image in enumerate(images):
        top = index // columns * (height + _GAP)
        left = index % columns * (width + _GAP)
        grid[top : top + height, left : left + width] = image
    return grid


def check_grid(
    count: int, image_shape: Sequence[int], columns: int | None = None, scale: int | None = None
) -> None:
    """Refuse a grid that no viewer could open, before its images are computed.

    Args:
        count: the number of images.
        image_shape: [H, W, C].
        columns: see `make_grid`.
        scale: see `make_grid`.

    Raises:
        BadInputError: it would have more than `LARGEST_GRID` pixels, or a side of more than
            `LONGEST_SIDE`.
    """
    height, width, channels = image_shape
    width *= 1 if channels in (1, 3) else channels
    rows, columns, scale = _layout(count, height, width, columns, scale)
    size = _size(rows, columns, height * scale, width * scale)
    if math.prod(size) > LARGEST_GRID or max(size) > LONGEST_SIDE:
        raise BadInputError(
            f"A grid of {count} images would be {size[1]} x {size[0]} pixels.",
            "Write them to an array (.npz) or to a folder.",
        )


def _layout(
    count: int, height: int, width: int, columns: int | None, scale: int | None
) -> tuple[int, int, int]:
    """Rows, columns and the side of an enlarged pixel."""
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    scale = max(1, _TARGET_SIDE // max(height, width)) if scale is None else scale
    for key, value in (("columns", columns), ("scale", scale)):
        if value < 1:
            raise BadInputError(f"{key} is {value}; it must be at least 1.")
    columns = min(columns, count)
    return math.ceil(count / columns), columns, scale


def _size(rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """Height and width of a grid of images of this size."""
    return rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP


def encode_png(image: np.ndarray) -> bytes:
    """One image uint8 [H, W, 1 or 3] as a PNG file's content."""
    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(image: np.ndarray, path: str | os.PathLike[str]) -> Path:
    """Write one image uint8 [H, W, 1 or 3] as PNG; an older file is replaced atomically."""
    return replace_file(path, encode_png(image), flush=False)


def save_grid(
    images: np.ndarray,
    path: str | os.PathLike[str],
    columns: int | None = None,
    scale: int | None = None,
    values: ImageValues = UINT8,
) -> Path:
    """Write `make_grid` of ``images`` [N, H, W, C] as one PNG, atomically.

    Raises:
        BadInputError: see `make_grid`.
        OSError: the file cannot be written.
    """
    return save_png(make_grid(images, columns, scale, values), path)
