"""Images in arrays: in memory, or in NumPy's files (``.npy`` memory-mapped, ``.npz``).

Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.data.pixels import native
from hvae_core.errors import DataError
from hvae_core.interfaces import ImageValues, Shape3


def open_npy(path: Path, shape: Shape3, dtype: str = "uint8") -> np.ndarray:
    """Memory-map the images of an ``.npy`` file.

    Args:
        path: the file, in any layout that `as_images` knows.
        shape: [H, W, C] of an image.
        dtype: of its values.

    Returns:
        [N, H, W, C] of this type, a read-only view of the file.

    Raises:
        DataError: the file is missing, truncated, damaged or of another shape.
    """
    return as_images(map_npy(path), shape, path, dtype)


def map_npy(path: Path) -> np.ndarray:
    """Memory-map the array of an ``.npy`` file, whatever it holds.

    Raises:
        DataError: the file is missing, truncated or damaged, or an archive.
    """
    array = _load(path, mmap_mode="r")
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(
            f"{path} is an .npz archive; expected the single array of an .npy file.",
            "Give it its own name, or save the array with numpy.save.",
        )
    return array


def read_npz(path: Path, shape: Shape3, key: str = "data") -> np.ndarray:
    """Read the images of an ``.npz`` file into memory.

    Args:
        path: the file.
        shape: [H, W, C] of an image.
        key: the array's name within the file.

    Returns:
        uint8 [N, H, W, C].

    Raises:
        DataError: the file is missing, truncated, damaged or of another shape.
    """
    return as_images(read_member(path, lambda names: key), shape, path)


def read_member(path: Path, choose: Callable[[list[str]], str]) -> np.ndarray:
    """Read one array of an ``.npz`` file into memory, whatever it holds.

    Args:
        path: the file.
        choose: from the names of its arrays, the one to read.

    Raises:
        DataError: the file is missing, truncated or damaged, or has no such array.
    """
    (array,) = read_members(path, lambda names: [choose(names)]).values()
    return array


def read_members(
    path: Path, choose: Callable[[list[str]], list[str]] = list
) -> dict[str, np.ndarray]:
    """Read arrays of an ``.npz`` file into memory by name, whatever they hold.

    Args:
        path: the file.
        choose: from the names of its arrays, those to read; by default all.

    Raises:
        DataError: the file is missing, truncated or damaged, or has no such array.
    """
    archive = _load(path)
    if isinstance(archive, np.ndarray):
        raise DataError(
            f"{path} is an .npy file; expected an .npz archive.",
            "Give it its own name, or save the array with numpy.savez.",
        )
    with archive:
        arrays = {}
        for key in choose(archive.files):
            try:
                array = archive[key]
            except Exception as error:
                raise _damaged(path, error) from error
            if not isinstance(array, np.ndarray):
                raise DataError(f"{path} holds {key!r}, which is no array.", "Get it again.")
            arrays[key] = array
    return arrays


def _load(path: Path, **options: Any) -> Any:
    """What NumPy reads from the file: an array, or an open archive.

    Raises:
        DataError: it cannot.
    """
    try:
        with np.errstate(all="ignore"):
            return np.load(path, allow_pickle=False, **options)
    except Exception as error:  # a forged header raises whatever evaluating it does
        raise _damaged(path, error) from error


def as_images(array: np.ndarray, shape: Shape3, path: Path, dtype: str = "uint8") -> np.ndarray:
    """View ``array`` as images [N, H, W, C].

    Args:
        array: [N, H, W, C], [N, C, H, W] or [N, C * H * W] (one plane a channel).
        shape: [H, W, C] of an image.
        path: for the message.
        dtype: of its values.

    Raises:
        DataError: it is none of these.
    """
    height, width, channels = shape
    if array.dtype == dtype:
        if array.shape[1:] == shape:
            return array
        if array.shape[1:] in ((channels, height, width), (channels * height * width,)):
            planes = array.reshape(len(array), channels, height, width)
            return planes.transpose(0, 2, 3, 1)
    raise DataError(
        f"{path} holds {array.dtype} of shape {list(array.shape)}; expected {dtype} images of "
        f"{height}x{width} pixels and {channels} channels.",
        "Use the files of the right data set.",
    )


def _damaged(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} is missing.")
    reason = str(error).rstrip(".")[:200] or type(error).__name__
    return DataError(
        f"{path} cannot be read: it is truncated, damaged or not of its kind ({reason}).",
        "Get it again.",
    )


class ArraySource:
    """The images of one array.

    Args:
        images: uint8, uint16 or float32 [N, H, W, C], in memory or memory-mapped.
        rows: which of them, in this order; None: all.
        values: what each batch is checked to be, as of a file that is too large to be gone through
            first; None: it is not.
        where: names the images in messages.

    Attributes:
        labels: what was given beside the images, [N, ...]; None: nothing.
        digests: gives the digest of each image of the whole array, uint64 [N], for
            `hvae_core.data.fingerprints`; None: they are computed whenever they are asked for.
    """

    labels: np.ndarray | None = None
    digests: Callable[[], np.ndarray] | None = None

    def __init__(
        self,
        images: np.ndarray,
        rows: np.ndarray | None = None,
        values: ImageValues | None = None,
        where: str = "",
    ) -> None:
        if images.dtype not in (np.uint8, np.uint16, np.float32) or images.ndim != 4:
            raise ValueError(
                f"expected uint8, uint16 or float32 [N, H, W, C], got {images.dtype} {images.shape}"
            )
        self.images, self.rows = images, rows
        self.values, self.where = values, where
        self.shape: Shape3 = (images.shape[1], images.shape[2], images.shape[3])

    def __len__(self) -> int:
        return len(self.images if self.rows is None else self.rows)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """The images at ``indices``, a copy: [len(indices), H, W, C].

        Raises:
            DataError: they are not the values they are checked to be.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        images = np.array(self.images[chosen if self.rows is None else self.rows[chosen]])
        return images if self.values is None else native(images, self.values, self.where)
