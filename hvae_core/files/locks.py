"""A lock between processes for each file that several may be about to write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import filelock


def lock_at(path: Path) -> filelock.BaseFileLock:
    """The lock that an empty file is, not yet acquired; no link is followed.

    The file stays when the lock is released: a process that waits for it has it open.

    Args:
        path: the file; its folder is made.

    Raises:
        OSError: the folder cannot be made, or a link in the file's place not be removed.
    """
    import filelock

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    return filelock.FileLock(path)


def lock_of(target: Path) -> filelock.BaseFileLock:
    """The lock of a file that is written beside it; see `lock_at`."""
    return lock_at(target.with_name(f".{target.name}.lock"))
