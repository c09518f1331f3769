"""Names that say which split a folder or a file belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

_WORDS = {
    "train": ("train", "training", "trn"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout", "held-out"),
    "validation": ("validation", "valid", "val", "dev"),
}
_SPLITS = {word: split for split, words in _WORDS.items() for word in words}
#: what may follow: train2017, trainA, test_set, Training Images
_NAME = re.compile(
    rf"(?P<word>{'|'.join(sorted(_SPLITS, key=len, reverse=True))})"
    r"(?:[ _.-]?(?:sets?|images?|imgs?|data|split|folder|[0-9]+|[ab]))*"
)


def split_named(name: str) -> str | None:
    """The split that a folder's name says: train, test, validation, or None.

    Compared without case: ``Training``, ``TEST``, ``val2017``, ``test_images``.
    """
    match = _NAME.fullmatch(name.strip().lower())
    return _SPLITS[match["word"]] if match else None


def split_begun(stem: str) -> str | None:
    """The split that a file's name begins with: ``train-00000-of-00003``."""
    word = re.match(r"[a-z]*", stem.lower())
    return _SPLITS.get(word.group()) if word else None


def split_folder(path: PurePath) -> tuple[str | None, PurePath | None]:
    """The split that a relative path says by the uppermost folder named after one, and it."""
    for folder in reversed(path.parents):
        split = split_named(folder.name) if folder.name else None
        if split is not None:
            return split, folder
    return None, None


def class_folders(paths: Iterable[PurePath]) -> list[str | None]:
    """The class of each of a data set's files: the innermost folder that names no split.

    Those are the folders below the split's (``train/cat/1.png``); where no file has one there,
    those above it (``cat/train/1.png``).

    Args:
        paths: of all files, relative to the data set's folder.

    Returns:
        The folder's name; None of a file that lies in none.
    """
    above: list[tuple[str, ...]] = []
    below: list[tuple[str, ...]] = []
    divided: list[bool] = []
    for path in paths:
        _, folder = split_folder(path)
        outer = () if folder is None else folder.parts
        above.append(outer[:-1])
        below.append(path.parent.parts[len(outer) :])
        divided.append(folder is not None)
    are_below = any(inner for inner, is_part in zip(below, divided, strict=True) if is_part)
    chosen = [
        inner if inner or are_below else outer for outer, inner in zip(above, below, strict=True)
    ]
    return [folders[-1] if folders else None for folders in chosen]


def by_folder(
    root: Path, files: Iterable[Path]
) -> tuple[dict[str, list[Path]], dict[str, list[str]], list[Path]]:
    """Divide files by the split that a folder above them is named after.

    Returns:
        Split name to files, in their order; split name to the folders that said so, relative to
        ``root``; and the files that no folder says anything of.
    """
    found: dict[str, list[Path]] = {}
    folders: dict[str, list[str]] = {}
    others: list[Path] = []
    for path in files:
        split, folder = split_folder(path.relative_to(root))
        if split is None or folder is None:
            others.append(path)
            continue
        found.setdefault(split, []).append(path)
        if folder.as_posix() not in folders.setdefault(split, []):
            folders[split].append(folder.as_posix())
    return found, folders, others
