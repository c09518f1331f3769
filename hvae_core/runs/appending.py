"""The files of a run that lines are added to: its records, its sessions, its times.

A line is there as soon as it is written, and outlives the process; on the disk it is once it is
flushed, as it is before a checkpoint that counts on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from hvae_core.errors import TrainingError
from hvae_core.files.replacing import disk_errors, flush_file, flush_folder


def writing(path: Path) -> AbstractContextManager[None]:
    """A block that writes a file of the run.

    Raises:
        TrainingError: it cannot be written.
    """
    hint = "Make room, then go on from the last checkpoint with --resume."
    return disk_errors(f"write {path}", hint, TrainingError)


@contextmanager
def appending(path: Path) -> Iterator[BinaryIO]:
    """The file, open to be read and to be added to.

    Raises:
        TrainingError: it cannot be written.
    """
    with writing(path), path.open("a+b") as file:
        yield file


def flush(path: Path) -> None:
    """Wait until a file is on the disk, so that it survives a power cut; if there is one.

    Raises:
        OSError: it cannot be written.
    """
    if path.is_file():
        flush_file(path)
        flush_folder(path.parent)
