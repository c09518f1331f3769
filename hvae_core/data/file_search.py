"""Searching a folder for files to any depth, without what systems and editors leave there."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from pathlib import Path

from hvae_core.errors import DataError

#: folders that systems make, in small letters: thumbnails, bins, halves of archives
SYSTEM_FOLDERS = frozenset(
    {
        *("__macosx", "__pycache__", "@eadir", "#recycle", "$recycle.bin", "lost+found"),
        "system volume information",
    }
)


def find_files(root: Path, suffixes: Collection[str]) -> list[Path]:
    """The files at any depth below ``root`` whose names end in one of the suffixes.

    Files and folders that are hidden (``.ipynb_checkpoints``, ``._a.png``) or of `SYSTEM_FOLDERS`
    are left out. Links are followed, but no folder is gone through twice: neither one that holds
    the link to it, nor one that is reached by another way too, of which the real one counts.

    Args:
        root: the folder.
        suffixes: in small letters, with their dots.

    Returns:
        The files, sorted. A link to a file that is not there is one of them, so that reading it
        tells.

    Raises:
        DataError: a folder cannot be read, or a link not followed; names it.
    """
    found: list[Path] = []
    links: list[Path] = []
    seen: set[str] = set()
    real_root = os.path.realpath(root)

    def search(folder: Path) -> None:
        pending = [folder]
        while pending:
            here = pending.pop()
            place = os.path.realpath(here)
            if place in seen:
                continue
            seen.add(place)
            try:
                entries = sorted(os.scandir(here), key=lambda entry: entry.name)
            except OSError as error:
                raise DataError(
                    f"The folder {here} cannot be read ({error.strerror or error}).",
                    "Give yourself the right to read it, or move it elsewhere.",
                ) from error
            for entry in entries:
                path = here / entry.name
                if is_left_out(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif _leads_to_folder(entry):
                    links.append(path)
                elif path.suffix.lower() in suffixes and (entry.is_symlink() or entry.is_file()):
                    found.append(path)

    search(root)
    while links:
        links.sort(reverse=True)
        link = links.pop()
        target = os.path.realpath(link)
        if not Path(real_root).is_relative_to(target):  # a folder around the root is a loop
            search(link)
    return sorted(found)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Whether a link leads to a folder; one that leads to itself leads to nothing.

    Raises:
        DataError: that cannot be seen.
    """
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise DataError(
            f"The link {entry.path} cannot be followed ({error.strerror or error}).",
            "Give yourself the right to read what it leads to, or remove it.",
        ) from error


def is_left_out(name: str) -> bool:
    """Whether a file or a folder of this name is hidden, or made by the system."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS
