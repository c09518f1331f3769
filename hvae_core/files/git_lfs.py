"""Telling the pointer that git-lfs keeps in a repository from the file that it stands for.

Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
"""

from __future__ import annotations

from pathlib import Path

BEGINNING = b"version https://git-lfs.github.com/spec/"
#: by the specification
MAX_BYTES = 1024
FAULT = "it is a git-lfs pointer, not the file itself"
HINT = "In the clone that it comes from, run: git lfs pull"


def is_pointer(path: Path) -> bool:
    """Whether the file is a pointer; one that cannot be read is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return False
        with path.open("rb") as file:
            return file.read(len(BEGINNING)) == BEGINNING
    except OSError:
        return False
