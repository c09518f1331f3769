"""Images held by Python objects of any library, as a source that is read by index.

No library is imported: what an object can do decides how it is read.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from hvae_core.data.arrays import ArraySource
from hvae_core.data.item_labels import joined, label_of, labels_beside
from hvae_core.data.pixels import as_array, as_batch, common_unit, native, quantized, unit_of
from hvae_core.errors import DataError
from hvae_core.interfaces import UINT8, ImageSource, ImageValues, Shape3

#: bytes of pixels that an object may have which can only be read from first to last
MEMORY = 2**32
#: images that are looked at to learn how an object gives them
_PROBED = 16
_CHUNK = 1024
#: a larger number of images means that an object repeats them without end
_ENDLESS = 2**40
_EXPECTED = (
    "a NumPy array or tensor [N, H, W, C], a pair (images, labels), a data set of PyTorch, "
    "TensorFlow, Keras, Grain or Hugging Face, or anything with __len__ and __getitem__"
)


#: a user's object, which two splits may share, is read by one thread at a time: while batches are
#: read ahead the validation reads too, and an object may have one open file
_READING = threading.Lock()


class ItemSource:
    """Images that an object gives one by one, in the order and as often as asked for.

    Args:
        items: has ``__getitem__`` by number; ``__getitems__``, where it has that, gets several.
        count: how many images.
        shape: [H, W, C] of an image.
        unit: what the values are multiplied by to be 0 to 255.
        where: names the object in messages.
        values: what the images' numbers are.
    """

    def __init__(
        self,
        items: Any,
        count: int,
        shape: Shape3,
        unit: int,
        where: str,
        values: ImageValues = UINT8,
    ) -> None:
        self.items, self.count, self.unit, self.where = items, count, unit, where
        self.shape, self.values = shape, values

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """The images at ``indices``: native values [len(indices), H, W, C].

        Raises:
            DataError: one cannot be read as an image of the model.
        """
        with _READING:
            return self._batch([int(index) for index in indices])

    def _batch(self, wanted: list[int]) -> np.ndarray:
        images = np.empty((len(wanted), *self.shape), self.values.dtype)
        several = hasattr(type(self.items), "__getitems__") and wanted
        items = self.items.__getitems__(wanted) if several else map(self.items.__getitem__, wanted)
        for row, (index, item) in enumerate(zip(wanted, items, strict=True)):
            where = f"{self.where}[{index}]"
            array = as_array(item, self.shape[-1], where, self.values)
            array, is_one = as_batch(array, self.shape, where)
            if not is_one and len(array) != 1:
                raise DataError(f"{where} is {len(array)} images; expected one.")
            images[row] = converted(array[0], self.values, self.unit, where)
        return images

    @functools.cached_property
    def labels(self) -> np.ndarray | None:
        """What each item says of its image, see `label_of`; None where one says nothing.

        All items are gone through once.
        """
        return joined([label_of(self.items[index], 1) for index in range(self.count)])


def converted(array: np.ndarray, values: ImageValues, unit: int, where: str) -> np.ndarray:
    """An object's numbers as native values: of uint8 see `quantized`, of others `native`."""
    return quantized(array, unit, where) if values == UINT8 else native(array, values, where)


def open_object(
    data: Any, shape: Shape3, where: str = "dataset", values: ImageValues = UINT8
) -> ImageSource:
    """The images that a Python object holds.

    An array is used where it is. An object with ``__len__`` and ``__getitem__`` is read by index
    as the images are needed; one that gives batches, or can only be gone through, is read into
    memory, up to `MEMORY` bytes.

    Args:
        data: images, or items that have one, see `hvae_core.data.pixels.as_array`.
        shape: [H, W, C] that the model needs.
        where: names the object in messages.
        values: what the model's images are.

    Raises:
        DataError: it holds no images of this shape that are such values without loss, it gives
            other images each time it is read, or it has too many to be read into memory.
    """
    if isinstance(data, tuple):
        images = _images_of_pair(data, where)
        source = open_object(images, shape, where, values)
        labels = labels_beside(data[1], where)
        if labels.ndim:
            source.labels = labels  # type: ignore[attr-defined]
        return source
    if isinstance(data, np.memmap) and data.dtype != values.dtype:
        return _by_index(data, len(data), shape, where, values)
    if isinstance(data, np.ndarray) or hasattr(type(data), "__dlpack__"):
        array = data if isinstance(data, np.memmap) else as_array(data, shape[-1], where)
        return _from_array(array, shape, where, values)
    if isinstance(data, str | bytes | Mapping):
        raise _no_images(data, where)
    if hasattr(type(data), "__getitem__"):
        count = _length(data)
        if count is not None:
            return _by_index(data, count, shape, where, values)
    if not hasattr(data, "__iter__"):
        raise _no_images(data, where)
    return _gone_through(data, shape, where, values)


def _no_images(data: Any, where: str) -> DataError:
    return DataError(
        f"{where} is of type {type(data).__name__}; expected {_EXPECTED}.",
        "Files are read by the data sets arrays, image-folder, parquet and hub.",
    )


def _images_of_pair(data: tuple[Any, ...], where: str) -> Any:
    if len(data) != 2 or any(isinstance(part, tuple) for part in data):
        raise DataError(
            f"{where} is a tuple of {len(data)}; expected a pair (images, labels).",
            'Give several splits by name: {"train": ..., "test": ...}.',
        )
    counts = [_counted(part) for part in data]
    if counts[0] is not None and counts[0] != counts[1]:
        raise DataError(
            f"{where} is a pair of {counts[0]} images and "
            f"{'no' if counts[1] is None else counts[1]} labels; expected as many of both.",
            'Give several splits by name: {"train": ..., "test": ...}.',
        )
    return data[0]


def _counted(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:  # an array of no dimensions has a length, too, and raises
        return None


def _length(data: Any) -> int | None:
    """How many items an object says it has, or None."""
    count = _counted(data)
    if count is None:
        count = getattr(data, "num_batches", None)  # Keras's PyDataset
    return count if isinstance(count, int) else None


def _from_array(array: np.ndarray, shape: Shape3, where: str, values: ImageValues) -> ArraySource:
    images, _ = as_batch(array, shape, where, single=False)
    if not len(images):
        raise DataError(f"{where} has no images.")
    chunks = [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
    if values != UINT8:
        if isinstance(images, np.memmap) and images.dtype == values.dtype:
            native(chunks[0], values, where)  # of all of it would be read
            return ArraySource(images, values=values, where=where)
        return ArraySource(native(images, values, where))
    if images.dtype == np.uint8:
        # Of a file that is larger than memory, a look at the first part is mostly enough.
        if not any(chunk.max() > 1 for chunk in chunks):
            common_unit({None}, False, where)
        return ArraySource(images)
    unit = common_unit({unit_of(chunk) for chunk in chunks}, images.dtype.kind == "f", where)
    return ArraySource(np.concatenate([quantized(chunk, unit, where) for chunk in chunks]))


def _by_index(data: Any, count: int, shape: Shape3, where: str, values: ImageValues) -> ImageSource:
    """Images of an object with a length, or of its batches."""
    if count == 0:
        raise DataError(f"{where} has no images.")
    if count > _ENDLESS:
        raise _endless(where)
    try:
        first = data[0]
    except (LookupError, TypeError, NotImplementedError) as error:
        if isinstance(error, NotImplementedError) and hasattr(data, "__iter__"):
            return _gone_through(data, shape, where, values)  # an IterableDataset of PyTorch's
        raise DataError(
            f"{where}[0] cannot be had ({type(error).__name__}: {error}); expected items by "
            "number, from 0 on.",
            "Give an array, or an object whose __getitem__ takes a number.",
        ) from error
    array = as_array(first, shape[-1], f"{where}[0]", values)
    array, is_one = as_batch(array, shape, f"{where}[0]")
    if not is_one:
        return _in_memory((data[index] for index in range(count)), shape, where, values)
    probed = [int(index) for index in np.linspace(0, count - 1, min(count, _PROBED))]
    unit = 1
    if values == UINT8:
        arrays = [as_array(data[index], shape[-1], f"{where}[{index}]") for index in probed]
        unit = common_unit({unit_of(a) for a in arrays}, array.dtype.kind == "f", where)
    source = ItemSource(data, count, shape, unit, where, values)
    if not np.array_equal(source.batch(np.asarray(probed)), source.batch(np.asarray(probed))):
        raise DataError(
            f"{where} gives other images each time it is asked for the same ones; an image has to "
            "stay what it is, for validation and for a resumed run.",
            "Leave random augmentation out of it; data.flip=true mirrors images in training.",
        )
    return source


def _gone_through(
    data: Iterable[Any], shape: Shape3, where: str, values: ImageValues
) -> ArraySource:
    """Images of an object that can only be read from first to last."""
    cardinality = getattr(data, "cardinality", None)  # a tf.data.Dataset's; -1 is infinite
    if callable(cardinality) and int(cardinality()) == -1:
        raise _endless(where)
    iterator = iter(data)
    if iterator is not data:
        first, again = (list(itertools.islice(data, _PROBED)) for _ in range(2))
        for pair in zip(first, again, strict=False):
            left, right = (as_array(item, shape[-1], where, values) for item in pair)
            if not np.array_equal(left, right):
                raise DataError(
                    f"{where} gives its images in another order, or other images, each time it is "
                    "gone through; a run could not be resumed.",
                    "Leave shuffling and random augmentation out of it; hvae shuffles the images.",
                )
    return _in_memory(iterator, shape, where, values)


def _in_memory(items: Iterator[Any], shape: Shape3, where: str, values: ImageValues) -> ArraySource:
    """All images, or batches of them, one after the other, in memory."""
    limit = MEMORY // (math.prod(shape) * np.dtype(values.dtype).itemsize)
    parts: list[np.ndarray] = []
    labels: list[np.ndarray | None] = []
    units: list[int | None] = []
    count, floating = 0, False
    for index, item in enumerate(items):
        name = f"Item {index} of {where}"
        array, _ = as_batch(as_array(item, shape[-1], name, values), shape, name)
        unit = unit_of(array) if values == UINT8 else 1
        floating = floating or array.dtype.kind == "f"
        parts.append(np.array(converted(array, values, unit or 1, name)))
        labels.append(label_of(item, len(array)))
        units.append(unit)
        count += len(array)
        if count > limit:
            raise DataError(
                f"{where} has to be read into memory, and has more than the {limit:,} images of "
                f"{shape[0]}x{shape[1]} that take {MEMORY // 2**30} GiB.",
                "Give an object with __len__ and __getitem__ for single images, or save them to an "
                ".npy file and use the data set arrays.",
            )
    if not count:
        raise DataError(f"{where} has no images.")
    if values == UINT8 and common_unit(set(units), floating, where) == 255:
        # Those whose values are all 0 or 1 were left as they are until the others were seen.
        parts = [p * np.uint8(255) if u is None else p for p, u in zip(parts, units, strict=True)]
    source = ArraySource(np.concatenate(parts))
    source.labels = joined(labels)
    return source


def _endless(where: str) -> DataError:
    return DataError(
        f"{where} repeats its images without end.",
        "Leave out repeat(); train.epochs says how often they are seen.",
    )
