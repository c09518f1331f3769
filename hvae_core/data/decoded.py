"""Images decoded once and kept as one array in the cache folder, memory-mapped when used again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.data.arrays import open_npy
from hvae_core.errors import DataError
from hvae_core.files.places import cache_folder
from hvae_core.files.replacing import replacing
from hvae_core.interfaces import Shape3


def decoded_images(
    files: Sequence[Path],
    recipe: Any,
    shape: Shape3,
    chunks: Callable[[], Iterable[np.ndarray]],
    dtype: str = "uint8",
) -> np.ndarray:
    """The images of ``files`` as one array, from the cache where they were decoded before.

    A cache folder that cannot be written does no harm: the array is then made in memory.

    Args:
        files: what the images are decoded from; their names, sizes and times of change are the
            cache's key.
        recipe: whatever else the images depend on, as JSON values.
        shape: [H, W, C] of an image.
        chunks: decodes anew: yields [n, H, W, C] until all images are out.
        dtype: of the images.

    Returns:
        [N, H, W, C] of this type, read-only and memory-mapped where it comes from the cache.
    """
    path = cache_folder() / "data" / "decoded" / f"{_key(files, recipe, shape)}.npy"
    with contextlib.suppress(DataError):
        return open_npy(path, shape, dtype)
    with contextlib.suppress(OSError):
        with replacing(path) as temporary:
            _write(temporary, shape, chunks(), dtype)
        return open_npy(path, shape, dtype)
    parts = list(chunks())
    return np.concatenate(parts) if parts else np.empty((0, *shape), dtype)


def _key(files: Sequence[Path], recipe: Any, shape: Shape3) -> str:
    stats = [(path, path.stat()) for path in files]
    listing = [(str(path.resolve()), stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    text = json.dumps([recipe, list(shape), listing], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _write(path: Path, shape: Shape3, chunks: Iterable[np.ndarray], dtype: str) -> None:
    """Write all chunks to ``path``.

    Plain writes, no memory map: a full disk is then an error to be caught and not a signal.

    Raises:
        OSError: the disk does not let us.
    """
    with path.open("wb") as file:
        count = 0
        file.write(_header(0, shape, dtype))
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk).data)
            count += len(chunk)
        file.seek(0)
        file.write(_header(count, shape, dtype))


def _header(count: int, shape: Shape3, dtype: str) -> bytes:
    # Numpy leaves room for the first axis to grow, so the header's length does not depend on it.
    buffer = io.BytesIO()
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()
