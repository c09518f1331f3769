"""The digest by which a file is known: of a download, of weights, of an export's files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """The checksum of a file, hexadecimal.

    Args:
        path: the file, which is read in blocks.
        algorithm: ``sha256``, or another that `hashlib` knows.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
