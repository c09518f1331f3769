"""Images decoded once and kept as one array in the cache folder, memory-mapped when used again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.data.arrays import open_npy
from hvae_core.data.decode import Unreadable
from hvae_core.errors import DataError
from hvae_core.files.foreign_numbers import is_whole
from hvae_core.files.json_files import read_object
from hvae_core.files.locks import lock_of
from hvae_core.files.places import cache_folder
from hvae_core.files.replacing import remove_leftovers, replace_file, replacing
from hvae_core.interfaces import Shape3

#: the names of a million images
_MAX_LEFT_OUT_BYTES = 1 << 28


def decoded_images(
    files: Sequence[Path],
    recipe: Any,
    shape: Shape3,
    chunks: Callable[[], Iterable[np.ndarray]],
    dtype: str = "uint8",
    unreadable: Unreadable | None = None,
) -> np.ndarray:
    """The images of ``files`` as one array, from the cache where they were decoded before.

    A cache folder that cannot be written does no harm: the array is then made in memory. Processes
    that ask at once wait for the first, and what a killed one left of this array is removed.

    Args:
        files: what the images are decoded from; their names, sizes and times of change are the
            cache's key.
        recipe: whatever else the images depend on, as JSON values.
        shape: [H, W, C] of an image.
        chunks: decodes anew: yields [n, H, W, C] until all images are out.
        dtype: of the images.
        unreadable: takes the images that ``chunks`` leaves out; they are remembered with the array.

    Returns:
        [N, H, W, C] of this type, read-only and memory-mapped where it comes from the cache.
    """
    path = cache_folder() / "data" / "decoded" / f"{stat_key(files, [recipe, list(shape)])}.npy"
    left_out = path.with_suffix(".unreadable.json")

    def kept() -> np.ndarray:
        images = open_npy(path, shape, dtype)
        if unreadable is not None and left_out.exists():
            unreadable.found = _left_out(left_out)
        return images

    with contextlib.suppress(DataError):
        return kept()
    with contextlib.ExitStack() as held:
        # Processes of one run ask at once, and one decodes. Where no lock can be had, each does.
        with contextlib.suppress(OSError, NotImplementedError):
            held.enter_context(lock_of(path))
            remove_leftovers(path.parent, (path.name, left_out.name))
            with contextlib.suppress(DataError):
                return kept()
        if unreadable is not None:
            unreadable.found.clear()
        with contextlib.suppress(OSError):
            with replacing(path) as temporary:
                _write(temporary, shape, chunks(), dtype)
                # Before the array is there: whoever finds that finds this too.
                left_out.unlink(missing_ok=True)
                if unreadable is not None and unreadable.found:
                    replace_file(left_out, json.dumps({"images": unreadable.found}))
            return open_npy(path, shape, dtype)
    if unreadable is not None:
        unreadable.found.clear()
    parts = list(chunks())
    return np.concatenate(parts) if parts else np.empty((0, *shape), dtype)


def _left_out(path: Path) -> list[tuple[int, str]]:
    """The number and the name of each image that was left out.

    Raises:
        DataError: the file holds something else.
    """
    found = read_object(path, DataError, most=_MAX_LEFT_OUT_BYTES).get("images")
    if not isinstance(found, list) or not all(
        isinstance(entry, list) and len(entry) == 2 and is_whole(entry[0]) for entry in found
    ):
        raise DataError(f"{path} does not list images.")
    return [(number, str(where)) for number, where in found]


def stat_key(files: Sequence[Path], recipe: Any) -> str:
    """What is remembered of files is found by: their names, sizes and times of change.

    Args:
        files: the files; one that is not there has a size of -1.
        recipe: whatever else it depends on, as JSON values.
    """
    listing = []
    for path in files:
        try:
            stat = path.stat()
            size, changed = stat.st_size, stat.st_mtime_ns
        except OSError:
            size, changed = -1, 0
        listing.append((os.path.realpath(path), size, changed))  # of a link to itself, too
    text = json.dumps([recipe, listing], sort_keys=True)
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
