"""From an encoded image (PNG, JPEG, WebP) to uint8 of the wanted size."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from hvae_core.errors import DataError

Crop = Literal["center", "none"]
#: what Pillow raises for damaged, truncated or absurdly large images
DECODING_ERRORS = (
    *(OSError, ValueError, SyntaxError, RuntimeError, EOFError, LookupError, TypeError),
    *(ArithmeticError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
)
_CHUNK = 256


def decode_image(
    data: bytes | Path, channels: int, size: int | None = None, crop: Crop = "center"
) -> np.ndarray:
    """Decode one image.

    Args:
        data: the encoded image, or its file.
        channels: 1 (grey) or 3 (RGB). Transparency is dropped.
        size: side of the result in pixels, or None to leave the size as it is. Resampling is
            Lanczos, which is a proper low-pass filter when it reduces.
        crop: ``"center"`` cuts out the largest central square first; ``"none"`` stretches.

    Returns:
        uint8 [H, W, channels].

    Raises:
        OSError: the image is damaged, truncated or of an unknown format (`DECODING_ERRORS` lists
            all types).
    """
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):
            # Pillow would clip 16-bit grey values instead of scaling them.
            image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
        image = image.convert("L" if channels == 1 else "RGB")
    if size is not None:
        box = None
        if crop == "center":
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            box = (left, top, left + side, top + side)
        if image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.asarray(image).reshape(image.height, image.width, channels)


def decode_chunks(
    items: Iterable[tuple[str, bytes | Path]],
    decode: Callable[[bytes | Path], np.ndarray],
    shape: tuple[int, int, int],
    skip_unreadable: bool = False,
) -> Iterator[np.ndarray]:
    """Decode many images on several threads, in order.

    Args:
        items: ``(where, data)``; ``where`` names the image in messages.
        decode: one image to uint8 [H, W, C].
        shape: [H, W, C] that every image must have.
        skip_unreadable: leave damaged images out instead of stopping.

    Yields:
        uint8 [n, H, W, C].

    Raises:
        DataError: an image is damaged or of another shape; the message names it.
    """

    def one(item: tuple[str, bytes | Path]) -> np.ndarray | None:
        where, data = item
        try:
            image = decode(data)
        except DECODING_ERRORS as error:
            if skip_unreadable:
                return None
            raise DataError(
                f"{where} is no readable image ({error}).",
                "Remove or replace it, or set data.skip_unreadable=true where the data set has it.",
            ) from error
        if image.shape != shape:
            raise DataError(
                f"{where} is {_size(image.shape)} but {_size(shape)} was expected.",
                "Set data.size to bring all images to one size.",
            )
        return image

    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, thread_name_prefix="hvae-decode") as pool:
        group: list[tuple[str, bytes | Path]] = []

        def finish() -> np.ndarray:
            images = [image for image in pool.map(one, group) if image is not None]
            group.clear()
            return np.stack(images) if images else np.empty((0, *shape), np.uint8)

        for item in items:
            group.append(item)
            if len(group) == _CHUNK:
                yield finish()
        if group:
            yield finish()


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]} with {shape[2]} channel{'s' if shape[2] > 1 else ''}"
