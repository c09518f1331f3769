"""What images are known by: a digest of each image's values, and one of them all.

Two files that hold the same picture have the same digest here, whatever they are called and
whatever format they are in; so do a file and the array made of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.data.arrays import ArraySource, map_npy
from hvae_core.data.binarize import BinarizedOnce
from hvae_core.data.decoded import stat_key
from hvae_core.errors import DataError
from hvae_core.files.places import cache_folder
from hvae_core.files.replacing import replacing
from hvae_core.files.threads import cores
from hvae_core.interfaces import ImageSource

_CHUNK = 1024
_BLOCK = 2**20
#: images below so many bytes in all are digested anew each time: that is quicker than a look-up
_UNCACHED = 2**24
#: images that are looked at where reading all may take long
_SAMPLED = 1024


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """What the images of a split are known by.

    Args:
        images: how many.
        sha256: of their shape, type and values, in their order; hexadecimal.
        digests: uint64 [N], of each image; None where only a sample was looked at.
    """

    images: int
    sha256: str
    digests: np.ndarray | None = None


def fingerprint(source: ImageSource) -> Fingerprint:
    """The fingerprint of images, of those in arrays by every value, of others by a sample.

    Raises:
        DataError: they cannot be read.
    """
    while isinstance(source, BinarizedOnce):
        source = source.source
    digests = image_digests(source)
    if digests is None:
        indices = np.linspace(0, len(source) - 1, min(_SAMPLED, len(source))).astype(np.int64)
        seen = _digests_of(source.batch(indices[i : i + 64]) for i in range(0, len(indices), 64))
    else:
        seen = digests
    dtype = source.batch(np.arange(0)).dtype
    summary = hashlib.sha256(f"{len(source)} {list(source.shape)} {dtype}".encode())
    summary.update(seen.astype("<u8").tobytes())
    return Fingerprint(len(source), summary.hexdigest(), digests)


def image_digests(source: ImageSource) -> np.ndarray | None:
    """A digest of each image's values: uint64 [N]; None of images that are not in an array.

    Those of a large file are kept in the cache folder, and found again while it stays as it is.
    """
    if not isinstance(source, ArraySource):
        return None
    images = source.images

    def made() -> np.ndarray:
        return _digests_of(
            images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)
        )

    file = _mapped_file(images)
    if source.digests is not None:
        digests = source.digests()
    elif file is not None and isinstance(images, np.memmap) and images.nbytes > _UNCACHED:
        recipe = ["images", images.offset, list(images.shape), list(images.strides)]
        if (begun := _begun(images)) != 0:
            recipe.append(begun)
        digests = _cached([file], [*recipe, images.dtype.str], made)
    else:
        digests = made()
    return digests if source.rows is None else digests[source.rows]


def _mapped_file(images: np.ndarray) -> Path | None:
    """The file of an array mapped to memory; None where it may have changed in memory alone."""
    if not isinstance(images, np.memmap) or images.mode != "r" or not images.filename:
        return None
    return Path(images.filename)


def _begun(images: np.ndarray) -> int:
    """The bytes between the beginning of a whole array and that of a view of a part of it."""
    whole = images
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    return int(images.__array_interface__["data"][0] - whole.__array_interface__["data"][0])


def file_digests(files: Sequence[Path]) -> np.ndarray:
    """A digest of each file's bytes: uint64 [N], from the cache while the files stay as they are.

    A file that cannot be read, as reading it as an image will tell, has that of its name.
    """

    def one(path: Path) -> int:
        result = hashlib.blake2b(digest_size=8)
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    result.update(block)
        except OSError:
            result.update(path.name.encode("utf-8", "surrogateescape"))
        return int.from_bytes(result.digest(), "little")

    def made() -> np.ndarray:
        with ThreadPoolExecutor(min(8, cores()), thread_name_prefix="hvae-digest") as pool:
            return np.fromiter(pool.map(one, files), np.uint64, len(files))

    return _cached(files, ["files"], made)


def as_keys(digests: np.ndarray) -> list[str]:
    """Digests as hexadecimal text, which images may be known by."""
    return [f"{digest:016x}" for digest in digests.tolist()]


def _digests_of(chunks: Iterable[np.ndarray]) -> np.ndarray:
    return np.fromiter(_each(chunks), np.uint64)


def _each(chunks: Iterable[np.ndarray]) -> Iterator[int]:
    for chunk in chunks:
        for image in np.ascontiguousarray(chunk):
            digest = hashlib.blake2b(image.data, digest_size=8).digest()
            yield int.from_bytes(digest, "little")


def _cached(files: Sequence[Path], recipe: Any, made: Callable[[], np.ndarray]) -> np.ndarray:
    """Digests from the cache, where they were made of the same files before."""
    path = cache_folder() / "data" / "digests" / f"{stat_key(files, recipe)}.npy"
    with contextlib.suppress(DataError):
        if path.exists() and (kept := map_npy(path)).dtype == np.uint64:
            return np.array(kept)
    digests = made()
    with contextlib.suppress(OSError), replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, digests)
    return digests
