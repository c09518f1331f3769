"""Image files in folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hvae_core.data import tiff

#: those that configurations of format 1 know
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
SUFFIXES = PICTURE_SUFFIXES | tiff.SUFFIXES
_SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val"),
}


def list_images(folder: Path) -> list[Path]:
    """The image files at any depth, sorted; hidden files are left out, hidden folders are not."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )


def split_folders(root: Path) -> dict[str, Path]:
    """The subfolders of ``root`` that are named after a split: split name to folder."""
    found = {}
    for split, names in _SPLIT_FOLDERS.items():
        for name in names:
            if (root / name).is_dir():
                found[split] = root / name
                break
    return found


def named(files: list[Path]) -> Iterator[tuple[str, bytes | Path]]:
    """``(where, file)`` for `hvae_core.data.decode.decode_chunks`."""
    for path in files:
        yield str(path), path
