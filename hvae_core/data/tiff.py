"""Stacks of images in TIFF files, read by tifffile."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from hvae_core.errors import DataError, MissingDependencyError

SUFFIXES = frozenset({".tif", ".tiff"})
#: how a TIFF file begins, and one of more than 4 GB
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: tifffile's letters for the axes of an image
_IMAGE_AXES = "YX"
_CHANNEL_AXES = "SC"
_ORIENTATION = 274
#: what brings an image upright, by the tag: whether rows and columns are exchanged first, and then
#: the axes of [N, H, W, C] that are reversed
_TURNS = {
    2: (False, (2,)),
    3: (False, (1, 2)),
    4: (False, (1,)),
    5: (True, ()),
    6: (True, (2,)),
    7: (True, (1, 2)),
    8: (True, (1,)),
}


def read_tiff(file: Path | bytes) -> np.ndarray:
    """The images of a TIFF file; memory-mapped where they lie in it one after the other.

    Args:
        file: the file, or what it holds; of several series, such as the levels of a pyramid, the
            first is read.

    Returns:
        [N, H, W, C] of the file's own dtype. Samples of a pixel and ImageJ's channels are C; time,
        depth and whatever else there is are N. They are turned as the orientation tag of the first
        says, which is then one for all.

    Raises:
        DataError: the file is missing, damaged or of an unknown kind.
        MissingDependencyError: tifffile is not installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise MissingDependencyError.for_extra("tifffile", "tiff", "Reading TIFF files") from error
    path = file if isinstance(file, Path) else "It"
    if isinstance(file, Path) and not file.exists():
        raise DataError(f"{path} is missing.")
    try:
        with tifffile.TiffFile(io.BytesIO(file) if isinstance(file, bytes) else file) as opened:
            axes = opened.series[0].axes
            tag = opened.series[0].keyframe.tags.get(_ORIENTATION)
            orientation = 1 if tag is None else int(tag.value)
            is_plain = opened.series[0].dataoffset is not None
            array = None if is_plain and isinstance(file, Path) else opened.asarray(series=0)
        if array is None:
            array = tifffile.memmap(path, series=0, mode="r")
    except Exception as error:  # a forged file raises whatever its tags lead to
        reason = (str(error) or type(error).__name__).rstrip(".")
        raise DataError(
            f"{path} cannot be read: it is truncated, damaged or not of its kind ({reason}).",
            "Get it again.",
        ) from error
    return _turned(_as_stack(array, axes, path), orientation)


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF file of several images."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with Image.open(path) as opened:
            return getattr(opened, "n_frames", 1) > 1
    except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError):
        return False  # reading it tells why


def _as_stack(array: np.ndarray, axes: str, path: Path | str) -> np.ndarray:
    channels = [index for index, axis in enumerate(axes) if axis in _CHANNEL_AXES]
    pixels = [axes.find(axis) for axis in _IMAGE_AXES]
    if min(pixels) < 0 or len(channels) > 1 or len(axes) != array.ndim:
        raise DataError(
            f"{path} has the axes {axes} of shape {list(array.shape)}, which are not read as "
            "images.",
            "Save the images as an .npy file [N, H, W, C].",
        )
    stack = [index for index in range(array.ndim) if index not in (*channels, *pixels)]
    array = array.transpose(*stack, *pixels, *channels)
    height, width = array.shape[len(stack) : len(stack) + 2]
    return array.reshape(-1, height, width, array.shape[-1] if channels else 1)


def _turned(images: np.ndarray, orientation: int) -> np.ndarray:
    """A view of the images the way up that their orientation tag says."""
    exchanged, reversed_axes = _TURNS.get(orientation, (False, ()))
    if exchanged:
        images = images.swapaxes(1, 2)
    return np.flip(images, reversed_axes) if reversed_axes else images
