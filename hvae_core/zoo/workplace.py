"""Where presets are collected before they take their place.

``<cache>/presets/.pulling/<name>`` is held by a lock beside it. An interrupted pull goes on there,
`hvae_core.zoo.pruning` clears it away. The lock's empty file stays: a process that waits for it has
opened it already, and would hold a removed file while a third holds a new one of the same name.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hvae_core.errors import DownloadError
from hvae_core.files.locks import lock_at
from hvae_core.files.replacing import disk_errors
from hvae_core.zoo.folders import presets_folder

if TYPE_CHECKING:
    import filelock


def pulling_folder() -> Path:
    """The folder of the pulls that are going on, or were interrupted."""
    return presets_folder() / ".pulling"


def lock_path(name: str) -> Path:
    """The lock of a preset's workplace; no preset's name begins with a dot."""
    return pulling_folder() / f".{name}.lock"


@contextlib.contextmanager
def workplace(name: str, waiting: Callable[[], None] | None = None) -> Iterator[Path]:
    """The folder where a preset is collected, held against a second process.

    Args:
        name: the preset's.
        waiting: called once where another process holds it.

    Raises:
        DownloadError: it cannot be written.
    """
    import filelock

    work = pulling_folder() / name
    hint = "Make room or choose another folder; HVAE_HOME sets where presets go."
    with disk_errors(f"write in {presets_folder()}", hint, DownloadError):
        lock = _lock(name)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if waiting is not None:
                waiting()
            lock.acquire()
        try:
            if work.is_symlink() or work.is_file():
                work.unlink()
            work.mkdir(exist_ok=True)
            yield work
        finally:
            lock.release()


@contextlib.contextmanager
def held(name: str) -> Iterator[bool]:
    """Hold a preset's workplace until the block ends, unless another process does.

    Returns:
        Whether it is held now.

    Raises:
        OSError: the lock cannot be written.
    """
    import filelock

    lock = _lock(name)
    with contextlib.suppress(filelock.Timeout):
        lock.acquire(timeout=0)
    try:
        yield lock.is_locked
    finally:
        lock.release()


def clear_except(folder: Path, kept: tuple[str, ...]) -> None:
    """Remove all but the files named ``kept``."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in kept:
            path.unlink()


def _lock(name: str) -> filelock.BaseFileLock:
    """The lock of a preset's workplace, not yet acquired."""
    return lock_at(lock_path(name))
