"""Decoding many images, and what is told of those that cannot be decoded."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from hvae_core.data.image_decoding import DROP, Decoding, Refused
from hvae_core.errors import DataError

#: what Pillow raises for damaged, truncated or absurdly large images
DECODING_ERRORS = (
    *(OSError, ValueError, SyntaxError, RuntimeError, EOFError, LookupError, TypeError),
    *(ArithmeticError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
)
_CHUNK = 256
#: damaged images that are named before the rest is not looked at any more
_TOLD = 10
#: of those that are left out
_SHOWN = 5


def decode_image(data: bytes | Path, channels: int) -> np.ndarray:
    """Decode one image as uint8: transparency is dropped, of 16 bits the upper 8 are taken.

    Args:
        data: the encoded image, or its file.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 [H, W, channels], of the image's own size.

    Raises:
        OSError: see `Decoding`.
    """
    return Decoding(channels, background=DROP, reduce_bits=True)(data)


def cannot_decode(where: str, error: Exception) -> DataError:
    """What is told of an image that `DECODING_ERRORS` were raised for.

    Args:
        where: names the image.
        error: what was raised.
    """
    if isinstance(error, Refused):
        return DataError(f"{where} {error}.", error.hint)
    return DataError(f"{where} is no readable image ({error}).")


class Unreadable:
    """The images that were left out because they cannot be read.

    Attributes:
        found: the number of each among all, and what it is called.
    """

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    @property
    def numbers(self) -> list[int]:
        """Which images they are."""
        return [number for number, _ in self.found]

    def note(self, split: str, total: int) -> str:
        """How many they are and the first few, in a sentence; "" where there are none.

        Args:
            split: that they are of.
            total: images of the split, those that are left out among them.
        """
        if not self.found:
            return ""
        names = ", ".join(where for _, where in self.found[:_SHOWN])
        more = f" and {len(self.found) - _SHOWN} more" if len(self.found) > _SHOWN else ""
        return (
            f"{len(self.found)} of {total} {split} images cannot be read and are left out: "
            f"{names}{more}."
        )


def decode_chunks(
    items: Iterable[tuple[str, bytes | Path]],
    decode: Callable[[bytes | Path], np.ndarray],
    shape: tuple[int, int, int],
    unreadable: Unreadable | None = None,
) -> Iterator[np.ndarray]:
    """Decode many images on several threads, in order.

    Args:
        items: ``(where, data)``; ``where`` names the image in messages.
        decode: one image to [H, W, C].
        shape: [H, W, C] that every image must have.
        unreadable: takes the damaged images, which are left out; None: they stop the decoding.

    Yields:
        [n, H, W, C], of the type that ``decode`` gives.

    Raises:
        DataError: images are damaged, whose names are told up to a limit; or one is of another
            shape.
    """
    problems: list[tuple[str, Exception]] = []

    def one(item: tuple[str, bytes | Path]) -> np.ndarray | Exception:
        try:
            return decode(item[1])
        except DECODING_ERRORS as error:
            return error

    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers, thread_name_prefix="hvae-decode") as pool:
        group: list[tuple[str, bytes | Path]] = []
        done = 0

        def finish() -> np.ndarray | None:
            nonlocal done
            images = []
            for (where, _), image in zip(group, pool.map(one, group), strict=True):
                if not isinstance(image, Exception):
                    images.append(_of_shape(image, shape, where))
                elif unreadable is not None and not isinstance(image, Refused):
                    unreadable.found.append((done, where))
                else:
                    problems.append((where, image))
                    if len(problems) == _TOLD:
                        raise _damaged(problems)
                done += 1
            group.clear()
            return np.stack(images) if images and not problems else None

        for item in items:
            group.append(item)
            if len(group) == _CHUNK and (images := finish()) is not None:
                yield images
        if group and (images := finish()) is not None:
            yield images
    if problems:
        raise _damaged(problems)


def _of_shape(image: np.ndarray, shape: tuple[int, int, int], where: str) -> np.ndarray:
    if image.shape != shape:
        raise DataError(
            f"{where} is {_size(image.shape)} but {_size(shape)} was expected.",
            "Set data.size to bring all images to one size.",
        )
    return image


def _damaged(problems: list[tuple[str, Exception]]) -> DataError:
    """What is told of images that cannot be taken."""
    refused = [problem for problem in problems if isinstance(problem[1], Refused)]
    told = refused if len(refused) == len(problems) else [p for p in problems if p not in refused]
    (where, error), *others = told
    names = ", ".join(name for name, _ in told)
    number = f"At least {_TOLD}" if len(told) == _TOLD else str(len(told))
    if isinstance(error, Refused):
        if not others:
            return DataError(f"{where} {error}.", error.hint)
        return DataError(
            f"{number} images cannot be taken as they are: {names} (the first {error}).", error.hint
        )
    reason = str(error) or type(error).__name__
    if not others:
        return DataError(
            f"{where} is no readable image ({reason}).",
            "Remove or replace it, or set data.skip_unreadable=true where the data set has it.",
        )
    return DataError(
        f"{number} images cannot be read: {names} (the first: {reason}).",
        "Remove or replace them, or set data.skip_unreadable=true where the data set has it.",
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]} with {shape[2]} channel{'s' if shape[2] > 1 else ''}"
