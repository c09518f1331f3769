"""Stacks of images in TIFF files, read by tifffile."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hvae_core.errors import DataError, MissingDependencyError

SUFFIXES = frozenset({".tif", ".tiff"})
#: how a TIFF file begins, and one of more than 4 GB
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: tifffile's letters for the axes of an image
_IMAGE_AXES = "YX"
_CHANNEL_AXES = "SC"
#: what scanners of slides call the pictures beside theirs, in small letters
_BESIDE = frozenset({"label", "macro", "map", "overview", "thumbnail"})
#: what tifffile says of a compression that it does not know by itself
_NEEDED = "requires the 'imagecodecs' package"
_ORIENTATION = 274
#: what a page is to the others: bits, and the number of a former version of the format
_SUBFILE_TYPE, _OLD_SUBFILE_TYPE = 254, 255
_REDUCED, _MASK = 1, 4
#: what the numbers of an image mean: 0 is white; rows of a palette
_WHITE_IS_ZERO, _PALETTE = 0, 3
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


def read_tiff(
    file: Path | bytes, check: Callable[[tuple[int, int, int, int]], None] | None = None
) -> np.ndarray:
    """The images of a TIFF file; memory-mapped where they lie in it one after the other.

    They may have been written in one go or page by page. Reduced images and masks of others, such
    as the levels of a pyramid and thumbnails, are left out.

    Args:
        file: the file, or what it holds.
        check: is called with the shape [N, H, W, C] before anything is decoded, and raises what
            refuses it.

    Returns:
        [N, H, W, C] of the file's own dtype. Samples of a pixel and ImageJ's channels are C; time,
        depth, pages and whatever else there is are N. They are turned as the orientation tag of the
        first says, which is then one for all. Where 0 is white, unsigned integers are inverted, and
        the numbers of a palette are replaced with its colours, uint8, as Pillow does.

    Raises:
        DataError: the file is missing, damaged or of an unknown kind, or its images differ in size
            or type.
        MissingDependencyError: tifffile is not installed, or imagecodecs, which it needs for some
            compressions.
    """
    try:
        import tifffile
    except ImportError as error:
        raise MissingDependencyError.for_extra("tifffile", "tiff", "Reading TIFF files") from error
    path = file if isinstance(file, Path) else "It"
    if isinstance(file, Path) and not file.exists():
        raise DataError(f"{path} is missing.")
    with contextlib.ExitStack() as stack:
        with _told(path):
            source = io.BytesIO(file) if isinstance(file, bytes) else file
            opened = stack.enter_context(tifffile.TiffFile(source))
            parts = [_Part.of(opened.series[n], n, path) for n in _own_images(opened.series)]
        _check_alike(parts, path)
        first, count = parts[0], sum(part.shape[0] for part in parts)
        if check is not None:
            check((count, *first.shape[1:]))
        with _told(path):
            if len(parts) == 1:
                if first.is_plain and isinstance(file, Path):
                    return first.images(tifffile.memmap(file, series=first.number, mode="r"))
                return first.images(opened.asarray(series=first.number))
            images = np.empty((count, *first.shape[1:]), first.result_dtype)
            done = 0
            for part in parts:
                images[done : done + part.shape[0]] = part.images(
                    opened.asarray(series=part.number)
                )
                done += part.shape[0]
            return images


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF file of several images."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with Image.open(path) as opened:
            return len(first_own_pages(opened)) > 1
    except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError):
        return False  # reading it tells why


def first_own_pages(image: Any) -> list[int]:
    """The first two pages of a TIFF file that are images of their own, fewer where there are.

    Args:
        image: the file as Pillow opened it, not yet loaded.

    Raises:
        SyntaxError: Pillow does not know what one of the pages is.
    """
    count = getattr(image, "n_frames", 1)
    if count == 1:
        return [0]
    found: list[int] = []
    for page in range(count):
        image.seek(page)
        tags = getattr(image, "tag_v2", {})
        kind = tags.get(_SUBFILE_TYPE, 0) or _REDUCED * (tags.get(_OLD_SUBFILE_TYPE) == 2)
        if not kind & (_REDUCED | _MASK):
            found.append(page)
        if len(found) > 1:
            break
    image.seek(0)
    return found or [0]


@dataclasses.dataclass(frozen=True)
class _Part:
    """A series of a file: what its images are, before they are decoded.

    Args:
        number: among the file's series.
        axes: the axes of its array, brought into the order of [N, H, W, C].
        stored: [N, H, W, C] as they lie in the file.
        orientation: what its tag says.
        dtype: of the values.
        black: the number that is black, where 0 is white; None: 0 is black.
        palette: uint8 [numbers, 1 or 3], the colours that the values stand for; None: they are
            values themselves.
        is_plain: whether they lie in the file one after the other.
    """

    number: int
    axes: tuple[int, ...]
    stored: tuple[int, int, int, int]
    orientation: int
    dtype: np.dtype[Any]
    black: int | None
    palette: np.ndarray | None
    is_plain: bool

    @classmethod
    def of(cls, series: Any, number: int, path: Path | str) -> _Part:
        """What tifffile knows of a series.

        Raises:
            DataError: it has axes that images have not, or palettes that differ.
        """
        axes, shape = series.axes, tuple(map(int, series.shape))
        channels = [index for index, axis in enumerate(axes) if axis in _CHANNEL_AXES]
        pixels = [axes.find(axis) for axis in _IMAGE_AXES]
        if min(pixels) < 0 or len(channels) > 1 or len(axes) != len(shape):
            raise DataError(
                f"{path} has the axes {axes} of shape {list(shape)}, which are not read as images.",
                "Save the images as an .npy file [N, H, W, C].",
            )
        others = [index for index in range(len(shape)) if index not in (*channels, *pixels)]
        tag = series.keyframe.tags.get(_ORIENTATION)
        height, width = (shape[index] for index in pixels)
        dtype = np.dtype(series.dtype).newbyteorder("=")
        meaning, black = series.keyframe.photometric, None
        # Of other numbers it is not known which is black.
        if meaning == _WHITE_IS_ZERO and dtype.kind in "bu":
            black = 2 ** int(series.keyframe.bitspersample) - 1
        return cls(
            number,
            (*others, *pixels, *channels),
            (
                math.prod(shape[index] for index in others),
                *(height, width, shape[channels[0]] if channels else 1),
            ),
            1 if tag is None else int(tag.value),
            dtype,
            black,
            _palette_of(series, path) if meaning == _PALETTE and not channels else None,
            series.dataoffset is not None,
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[N, H, W, C] of the images, turned."""
        count, height, width, channels = self.stored
        is_exchanged, _ = _TURNS.get(self.orientation, (False, ()))
        channels = channels if self.palette is None else self.palette.shape[-1]
        return (count, *((width, height) if is_exchanged else (height, width)), channels)

    @property
    def kind(self) -> str:
        """What images of one stack have in common."""
        _, height, width, channels = self.shape
        turned = f", turned by orientation {self.orientation}" if self.orientation != 1 else ""
        return f"{height}x{width}x{channels} {self.result_dtype}{turned}"

    @property
    def result_dtype(self) -> np.dtype[Any]:
        """Of the images."""
        return self.dtype if self.palette is None else self.palette.dtype

    def images(self, array: np.ndarray) -> np.ndarray:
        """The series' array as [N, H, W, C], turned, in which 0 is black."""
        images = _turned(array.transpose(self.axes).reshape(self.stored), self.orientation)
        if self.palette is not None:
            return self.palette[images[..., 0]]
        if self.black is None:
            return images
        return ~images if images.dtype == bool else images.dtype.type(self.black) - images


def _palette_of(series: Any, path: Path | str) -> np.ndarray:
    """The colours of a series, uint8 [numbers, C]; one channel where all are grey.

    Raises:
        DataError: its pages have different ones.
    """
    pages = [page for page in series.pages if not (page is None or page.is_virtual)]
    maps = [page.aspage().colormap for page in (series.keyframe, *pages)]
    if not all(np.array_equal(maps[0], other) for other in maps):
        raise DataError(
            f"{path} has pages with palettes of their own, which are not read as a stack.",
            "Save its images as RGB.",
        )
    colours = (maps[0] >> 8).astype(np.uint8).T
    return np.ascontiguousarray(colours[:, :1] if (colours == colours[:, :1]).all() else colours)


@contextlib.contextmanager
def _told(path: Path | str) -> Iterator[None]:
    """Whatever tifffile raises, as a `DataError`: a forged file leads to anything."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).rstrip(".")
        if _NEEDED in reason:
            which = path if isinstance(path, Path) else "a TIFF file"
            raise MissingDependencyError.for_extra(
                "imagecodecs", "tiff", f"The compression of {which}"
            ) from error
        raise DataError(
            f"{path} cannot be read: it is truncated, damaged or not of its kind ({reason}).",
            "Get it again.",
        ) from error


def _own_images(series: Sequence[Any]) -> list[int]:
    """Which series are images of their own."""
    return [
        number
        for number, one in enumerate(series)
        if not (one.keyframe.is_reduced or one.keyframe.is_mask)
        and str(one.name).lower() not in _BESIDE
    ] or [0]


def _check_alike(parts: Sequence[_Part], path: Path | str) -> None:
    """Refuse images that cannot be one stack, of which none may be lost."""
    kinds = [part.kind for part in parts]
    for kind in kinds:
        if kind != kinds[0]:
            raise DataError(
                f"{path} holds images of several kinds, {kinds[0]} and {kind}; expected images of "
                "one size and type.",
                "Save those of each kind as a file of their own.",
            )


def _turned(images: np.ndarray, orientation: int) -> np.ndarray:
    """A view of the images the way up that their orientation tag says."""
    exchanged, reversed_axes = _TURNS.get(orientation, (False, ()))
    if exchanged:
        images = images.swapaxes(1, 2)
    return np.flip(images, reversed_axes) if reversed_axes else images
