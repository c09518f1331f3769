"""Writing images: a grid as one PNG, an ``.npz``, or a folder with a file for each image."""

from __future__ import annotations

import contextlib
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.files.replacing import disk_errors, replacing, replacing_folder
from hvae_core.images.grids import check_grid, encode_png, save_grid
from hvae_core.interfaces import UINT8, ImageValues

#: the hidden folder in an output folder whose process was killed
_LEFTOVER = re.compile(r"\.images\.[0-9a-f]+\.tmp")

OutputKind = Literal["png", "npz", "folder"]


def check_output(path: str | os.PathLike[str], folder: bool = True) -> OutputKind:
    """What ``path`` asks for, checked before anything is computed.

    ``.png`` is a grid, ``.npz`` an archive, a name without a suffix (or an existing empty folder)
    a folder of single images.

    Args:
        path: where the images are to go.
        folder: whether a folder will do.

    Raises:
        BadInputError: another suffix, a folder that is not empty, or a place that cannot be
            written to.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    kind: OutputKind
    if not folder and (target.is_dir() or suffix not in (".png", ".npz")):
        what = "is a folder" if target.is_dir() else "is neither a .png nor an .npz"
        raise BadInputError(
            f"The output {target} {what}.", "Name one such as images.png or images.npz."
        )
    if target.is_dir():
        kind = "folder"
        if any(not _LEFTOVER.fullmatch(path.name) for path in target.iterdir()):
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
    total: int | None = None,
    columns: int | None = None,
    values: ImageValues = UINT8,
) -> int:
    """Write images as they come.

    A folder gets one file for each image: ``000000.png`` and on where a PNG holds it exactly, uint8
    with 1 or 3 channels, else ``000000.npy``. An archive has the native values. A folder, and an
    archive whose ``total`` is given, hold no more than a batch in memory. What is written is there
    whole, or not at all.

    Args:
        batches: arrays [b, H, W, C].
        path: see `check_output`.
        total: how many images there will be; None: all are held in memory.
        columns: images in a row of a grid.
        values: what the images' numbers are; a grid shows them, see `as_pictures`.

    Returns:
        The number of images.

    Raises:
        BadInputError: see `check_output` and `hvae_core.images.grids.check_grid`.
        HvaeError: it cannot be written; names ``path``.
    """
    target = Path(path)
    kind = check_output(target)
    if total is None:
        batches = list(batches)
        total = sum(map(len, batches))
    count = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal count
        for batch in batches:
            yield batch
            count += len(batch)

    with disk_errors(f"write {target}"):
        if kind == "npz":
            save_npz(counted(), target, total)
        elif kind == "png":
            images = np.concatenate(list(counted()))
            check_grid(len(images), images.shape[1:], columns)
            save_grid(images, target, columns, values=values)
        else:
            with _new_folder(target) as folder:
                for batch in counted():
                    for offset, image in enumerate(batch):
                        _save_one(image, folder / f"{count + offset:06d}")
    return count


def _save_one(image: np.ndarray, path: Path) -> None:
    if image.dtype == np.uint8 and image.shape[-1] in (1, 3):
        path.with_suffix(".png").write_bytes(encode_png(image))
    else:
        np.save(path.with_suffix(".npy"), image)


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A hidden folder whose files are those of ``target`` if the block succeeds."""
    if not target.exists():
        with replacing_folder(target, flush=False) as work:
            yield work
        return
    # An empty folder stays where it is: it may be the working folder, or a disk of its own.
    with replacing_folder(target / ".images", flush=False) as work:
        yield work
        for path in sorted(work.iterdir()):
            path.replace(target / path.name)
    (target / ".images").rmdir()


def save_arrays(path: str | os.PathLike[str], **arrays: np.ndarray) -> None:
    """Write a compressed ``.npz`` of arrays by name; an older file is replaced atomically.

    Raises:
        HvaeError: it cannot be written; names ``path``.
    """
    target = Path(path)
    with (
        disk_errors(f"write {target}"),
        replacing(target, flush=False) as temporary,
        temporary.open("wb") as file,
    ):
        np.savez_compressed(file, allow_pickle=False, **cast("dict[str, Any]", arrays))


def save_npz(batches: Iterable[np.ndarray], path: Path, total: int) -> None:
    """Write a compressed ``.npz`` with the array ``images`` [total, H, W, C], batch by batch.

    An older file is replaced atomically.

    Raises:
        ValueError: the batches do not hold ``total`` images.
    """
    count = 0
    with replacing(path, flush=False) as temporary:
        with (
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("images.npy", "w", force_zip64=True) as member,
        ):
            for batch in batches:
                if not count:
                    dtype = batch.dtype
                    header = {"descr": dtype.str, "fortran_order": False,
                              "shape": (total, *batch.shape[1:])}  # fmt: skip
                    np.lib.format.write_array_header_1_0(member, header)
                member.write(np.ascontiguousarray(batch, dtype=dtype).data)
                count += len(batch)
        if count != total:
            raise ValueError(f"{count} images came, {total} were announced")
