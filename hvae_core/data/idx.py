"""The idx format of MNIST's files, plain or gzipped."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from hvae_core.errors import DataError

_UNSIGNED_BYTES = 0x08


def read_idx_images(path: Path) -> np.ndarray:
    """Read the images of an idx3 file.

    Args:
        path: the file; gzipped if its name ends in ``.gz``.

    Returns:
        uint8 [N, H, W, 1].

    Raises:
        DataError: the file cannot be read, is truncated or holds no images; the message names it.
    """
    data = _read(path)
    if len(data) < 16 or data[:4] != bytes([0, 0, _UNSIGNED_BYTES, 3]):
        raise DataError(
            f"{path} is no idx file of images: it does not begin with 00 00 08 03.",
            "Use the images' file, not the labels'.",
        )
    count, height, width = struct.unpack(">III", data[4:16])
    if len(data) - 16 != count * height * width:
        raise DataError(
            f"{path} announces {count} images of {height}x{width} pixels, "
            f"{count * height * width} bytes, but holds {len(data) - 16}.",
            "It is truncated or damaged: get it again.",
        )
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, height, width, 1)


def read_idx_labels(path: Path) -> np.ndarray:
    """Read the labels of an idx1 file: uint8 [N]; argument and errors as in `read_idx_images`."""
    data = _read(path)
    if len(data) < 8 or data[:4] != bytes([0, 0, _UNSIGNED_BYTES, 1]):
        raise DataError(
            f"{path} is no idx file of labels: it does not begin with 00 00 08 01.",
            "Use the labels' file, not the images'.",
        )
    (count,) = struct.unpack(">I", data[4:8])
    if len(data) - 8 != count:
        raise DataError(
            f"{path} announces {count} labels but holds {len(data) - 8}.",
            "It is truncated or damaged: get it again.",
        )
    return np.frombuffer(data, np.uint8, offset=8)


def _read(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: it is truncated or damaged ({error}).",
            "Delete it and get it again.",
        ) from error
