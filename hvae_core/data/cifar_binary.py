"""The binary version of the CIFAR-10 archive: records of one label byte and 3 x 32 x 32 bytes.

The "python version" is a pickle, which can run code when it is read, and is not supported.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hvae_core.errors import DataError

ARCHIVE = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
SIZE = 170_052_171
FILES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
RECORDS = 10_000
_RECORD_BYTES = 1 + 3 * 32 * 32


def find(root: Path) -> Path | None:
    """The folder with the ``.bin`` files or the archive at or below ``root``, or None."""
    if root.is_file():
        return root if root.name == ARCHIVE else None
    for folder in (root, root / FOLDER):
        if any((folder / name).exists() for names in FILES.values() for name in names):
            return folder
    return root / ARCHIVE if (root / ARCHIVE).exists() else None


def source_files(place: Path, split: str) -> list[Path]:
    """The files that the images of a split are read from.

    Raises:
        DataError: one is missing; the message names it.
    """
    if place.is_file():
        return [place]
    files = [place / name for name in FILES[split]]
    for file in files:
        if not file.exists():
            raise DataError(f"{file} is missing.", f"Unpack {ARCHIVE} again.")
    return files


def read_images(place: Path, split: str) -> Iterator[np.ndarray]:
    """Read the images of a split, file by file.

    Args:
        place: what `find` found.
        split: ``"train"`` or ``"test"``.

    Returns:
        Arrays uint8 [N, 32, 32, 3].

    Raises:
        DataError: a file is missing, truncated or damaged; the message names it.
    """
    return map(_images, _read(place, split))


def _read(place: Path, split: str) -> Iterator[np.ndarray]:
    """The records of each file: label, then planes."""
    if not place.is_file():
        for file in source_files(place, split):
            try:
                data = file.read_bytes()
            except OSError as error:
                raise DataError(f"{file} cannot be read ({error}).") from error
            yield _records(str(file), data)
        return
    try:
        with tarfile.open(place, "r:gz") as archive:
            for name in FILES[split]:
                member = archive.extractfile(f"{FOLDER}/{name}")
                data = member.read() if member is not None else b""
                yield _records(f"{name} in {place}", data)
    except (tarfile.TarError, EOFError, OSError, zlib.error, KeyError) as error:
        raise DataError(
            f"{place} is truncated or damaged ({error}).", "Delete it and download it again."
        ) from error


def read_labels(place: Path, split: str) -> np.ndarray:
    """The classes of a split's images, uint8 [N]; arguments and errors as in `read_images`."""
    return np.concatenate([records[:, 0] for records in _read(place, split)])


def _images(records: np.ndarray) -> np.ndarray:
    return records[:, 1:].reshape(len(records), 3, 32, 32).transpose(0, 2, 3, 1)


def _records(name: str, data: bytes) -> np.ndarray:
    if len(data) != RECORDS * _RECORD_BYTES:
        raise DataError(
            f"{name} has {len(data)} bytes but {RECORDS * _RECORD_BYTES} were expected: it is "
            "truncated or no CIFAR-10 batch.",
            f"Get {ARCHIVE} again.",
        )
    return np.frombuffer(data, np.uint8).reshape(RECORDS, _RECORD_BYTES)
