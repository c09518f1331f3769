"""Writing images: a grid as one PNG, an ``.npz``, or a folder with a PNG for each image."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.plotting import save_grid, save_png

OutputKind = Literal["png", "npz", "folder"]


def check_output(path: str | os.PathLike[str]) -> OutputKind:
    """What ``path`` asks for, checked before anything is computed.

    ``.png`` is a grid, ``.npz`` an archive, a name without a suffix (or an existing empty folder)
    a folder of PNGs.

    Raises:
        BadInputError: another suffix, a folder that is not empty, or a place that cannot be
            written to.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    kind: OutputKind
    if target.is_dir():
        kind = "folder"
        if any(target.iterdir()):
            raise BadInputError(
                f"The output folder {target} is not empty.",
                "Empty it or name another; old and new images would be mixed.",
            )
    elif suffix == ".png":
        kind = "png"
    elif suffix == ".npz":
        kind = "npz"
    elif not suffix and not target.exists():
        kind = "folder"
    else:
        raise BadInputError(
            f"The output {target} is neither a .png, an .npz nor a folder.",
            "Name one such as samples.png, samples.npz or samples.",
        )
    parent = target if target.is_dir() else target.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise BadInputError(
            f"The output {target} cannot be written: {parent} is not a folder that can be "
            "written to."
        )
    return kind


def save_images(
    batches: Iterable[np.ndarray],
    path: str | os.PathLike[str],
    columns: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write images as they come.

    A folder gets one file for each image, ``000000.png`` and on, and holds no more than a batch in
    memory; the other kinds hold all images. Files are replaced atomically.

    Args:
        batches: uint8 arrays [b, H, W, C].
        path: see `check_output`.
        columns: images in a row of a grid.
        progress: called with the number of images so far after each batch.

    Returns:
        The number of images.

    Raises:
        BadInputError: see `check_output`.
        OSError: writing failed.
    """
    target = Path(path)
    kind = check_output(target)
    count = 0
    kept: list[np.ndarray] = []
    for batch in batches:
        if kind == "folder":
            for offset, image in enumerate(batch):
                save_png(image, target / f"{count + offset:06d}.png")
        else:
            kept.append(batch)
        count += len(batch)
        if progress is not None:
            progress(count)
    if kind == "png":
        save_grid(np.concatenate(kept), target, columns)
    elif kind == "npz":
        save_npz(target, images=np.concatenate(kept))
    return count


def save_npz(path: str | os.PathLike[str], **arrays: np.ndarray) -> Path:
    """Write a compressed ``.npz``; an older file is replaced atomically."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        temporary = Path(folder) / "images.npz"
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
        os.replace(temporary, target)
    return target
