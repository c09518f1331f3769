"""What a visitor of the page may upload, and how it becomes an image for the model."""

from __future__ import annotations

import os
from pathlib import Path

from hvae_core.errors import DataError
from hvae_core.images.user_images import FittedImage, read_user_image
from hvae_core.interfaces import UINT8, ImageValues

MAX_BYTES = 10 << 20
MAX_PIXELS = 40_000_000


def own_file(path: object, folder: Path) -> Path:
    """``path`` if it is a file inside ``folder``.

    Whatever else it is, the answer is the same, so that nobody learns which files there are; and
    nothing outside the folder is even looked at.

    Args:
        path: what a visitor's request names.
        folder: where uploads are kept, resolved.

    Raises:
        DataError: it is no such file.
    """
    refusal = DataError("There is no such upload.", "Upload the image again.")
    if not isinstance(path, str) or not path.isprintable() or not os.path.isabs(path):
        raise refusal
    if not Path(os.path.normpath(path)).is_relative_to(folder):
        raise refusal
    try:
        resolved = Path(path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise refusal from None
    if not resolved.is_relative_to(folder) or not resolved.is_file():
        raise refusal
    return resolved


def read_upload(
    path: str | None,
    shape: tuple[int, int, int],
    which: str,
    values: ImageValues = UINT8,
    padding: int = 0,
) -> FittedImage:
    """The uploaded file as an image of the model's shape.

    Args:
        path: the file, or None where nothing was uploaded.
        shape: [H, W, C].
        which: what the message calls it, such as "the first image".
        values: what the model's images are.
        padding: see `read_user_image`.

    Raises:
        DataError: nothing was uploaded, it is too large, or it is no image.
    """
    if path is None:
        raise DataError(f"Upload {which} first.", "Or let the model draw one.")
    name = which[:1].upper() + which[1:]
    size = Path(path).stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{name} has {size / 2**20:.1f} MB; at most {MAX_BYTES >> 20} MB are accepted."
        )
    return read_user_image(
        path, shape, values=values, max_pixels=MAX_PIXELS, name=name, padding=padding
    )
