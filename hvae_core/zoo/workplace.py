"""Where presets are collected before they take their place, and what is noted of their origin.

``<cache>/presets/.pulling/<name>`` is held by a lock beside it. An interrupted pull goes on there,
`hvae_core.zoo.pruning` clears it away.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from hvae_core.errors import DownloadError
from hvae_core.files.replacing import disk_errors, replace_file
from hvae_core.zoo.finding import presets_folder

ORIGIN_FILE = "origin.json"


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
        work.parent.mkdir(parents=True, exist_ok=True)
        if lock_path(name).is_symlink():
            lock_path(name).unlink()
        lock = filelock.FileLock(lock_path(name))
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


def note_origin(folder: Path, origin: str) -> None:
    """Write down where a preset came from."""
    replace_file(folder / ORIGIN_FILE, json.dumps({"source": origin}))


def read_origin(folder: Path) -> str:
    """Where a pulled preset came from."""
    try:
        return str(json.loads((folder / ORIGIN_FILE).read_text(encoding="utf-8"))["source"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "an unknown place"


def clear_except(folder: Path, kept: tuple[str, ...]) -> None:
    """Remove all but the files named ``kept``."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in kept:
            path.unlink()
