"""What an item of a user's data set says of its image beside it: a label, or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hvae_core.data.pixels import detached
from hvae_core.errors import DataError

#: where an item that is a mapping has it
LABEL_KEYS = ("label", "labels", "y")


def label_of(item: Any, count: int) -> np.ndarray | None:
    """The labels of an item's images [count, ...], or None where it has none.

    Args:
        item: a pair that begins with its image or images, or a mapping with one of `LABEL_KEYS`;
            any other says nothing.
        count: images of the item.
    """
    if isinstance(item, Mapping):
        found: Any = next((item[key] for key in LABEL_KEYS if key in item), None)
    elif isinstance(item, tuple | list) and len(item) == 2:
        found = item[1]
    else:
        return None
    try:
        array = np.asarray(detached(found))
    except (TypeError, ValueError, RuntimeError):
        return None
    if array.dtype.kind not in "iufbU" or array.size == 0 or array.ndim > 2:
        return None
    if array.ndim == 0 or (count == 1 and len(array) != 1):
        array = array[None]
    return array if len(array) == count else None


def labels_beside(labels: Any, where: str) -> np.ndarray:
    """The labels of a pair (images, labels) as an array.

    Args:
        labels: what was given.
        where: names the pair in messages.

    Raises:
        DataError: they are none.
    """
    try:
        return np.asarray(detached(labels))
    except ValueError:
        raise DataError(
            f"{where} is a pair whose labels are lists of several lengths; expected an array, or "
            "as many numbers for each image.",
        ) from None
    except (TypeError, RuntimeError) as error:
        raise DataError(
            f"{where} is a pair whose labels are of type {type(labels).__name__}, which is no "
            f"array of numbers ({error}).",
            "Give a NumPy array, or a list of numbers or texts.",
        ) from error


def joined(labels: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The labels of all items [N, ...]; None where one has none, or others than the rest."""
    known = [label for label in labels if label is not None]
    if len(known) < len(labels) or len({label.shape[1:] for label in known}) != 1:
        return None
    together = np.concatenate(known)
    if together.ndim == 2 and together.shape[1] == 1:
        together = together[:, 0]
    return together
