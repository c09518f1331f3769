"""How data sets of a user's own images choose those that are held out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
import pydantic

from hvae_core.data.arrays import ArraySource
from hvae_core.data.batches import split_validation
from hvae_core.data.conditions import check_entries
from hvae_core.data.decode import Unreadable
from hvae_core.data.files import DatasetOptions
from hvae_core.data.fingerprints import as_keys, image_digests
from hvae_core.data.held_out import hold_out
from hvae_core.interfaces import ConditionColumn, ImageValues


class SplitOptions(DatasetOptions):
    """The choice of held-out images where each is known by its values."""

    test_fraction: float = pydantic.Field(
        0.1,
        ge=0,
        lt=1,
        description="part of the training images held out as test images where there are none of "
        "their own; 0: none",
    )
    split_seed: int = pydantic.Field(0, ge=0, description="of the choice of test images")
    split_by: Literal["content", "position"] = pydantic.Field(
        "content",
        description="what decides whether an image is held out, for testing or validation. "
        "content: its own values, so that images that come or go move no other, and equal images "
        "stay together; position: its number among all, as in configurations of format 1",
    )


class Splits:
    """The splits of a data set, with test images of its training images where it has no others.

    Args:
        options: how they are chosen.
        own: the names of the splits that the data set has.
        open_images: opens all images of such a split, [N, H, W, C].
    """

    def __init__(
        self,
        options: SplitOptions,
        own: Callable[[], Iterable[str]],
        open_images: Callable[[str], np.ndarray],
    ) -> None:
        self._options = options
        self._list_own = own
        self._open_images = open_images
        self._opened: dict[str, np.ndarray] = {}
        self._digests: dict[str, np.ndarray] = {}
        #: what opening the images of its own splits left out, by split
        self.left_out: dict[str, Unreadable] = {}

    @functools.cached_property
    def own(self) -> tuple[str, ...]:
        """The splits that the data set has."""
        return tuple(self._list_own())

    @property
    def names(self) -> tuple[str, ...]:
        """Its own, and ``test`` where that is held out."""
        return (*self.own, *(("test",) if self._holds_out else ()))

    @property
    def _holds_out(self) -> bool:
        return "train" in self.own and "test" not in self.own and self._options.test_fraction > 0

    def is_part(self, split: str) -> bool:
        """Whether a split is a part of the data set's training images."""
        return self._holds_out and split in ("train", "test")

    def stored_in(self, split: str) -> str:
        """The split of the data set that a split's images are of."""
        return "train" if self.is_part(split) else split

    def images(self, own: str) -> np.ndarray:
        """All images of a split that the data set has, opened once."""
        if own not in self._opened:
            self._opened[own] = self._open_images(own)
        return self._opened[own]

    def source(self, split: str, values: ImageValues | None = None, where: str = "") -> ArraySource:
        """The images of a split; for the other arguments see `ArraySource`."""
        stored = self.stored_in(split)
        source = ArraySource(self.images(stored), self.rows(split), values, where)
        source.digests = functools.partial(self._digests_of, stored)
        return source

    def _digests_of(self, own: str) -> np.ndarray:
        """The digest of each image of a split that the data set has, computed once."""
        if own not in self._digests:
            digests = image_digests(ArraySource(self.images(own)))
            assert digests is not None, "they are in an array"
            self._digests[own] = digests
        return self._digests[own]

    def rows(self, split: str) -> np.ndarray | None:
        """Which images of `stored_in` a split has; None: all.

        Raises:
            DataError: there are too few to hold any out.
        """
        if not self.is_part(split):
            return None
        train, test = self._divided
        return train if split == "train" else test

    def column(self, column: ConditionColumn, split: str) -> ConditionColumn:
        """What is said of the images of a split.

        Args:
            column: of all images of `stored_in`, those that are left out among them.
            split: the split.

        Raises:
            DataError: it has not as many entries as there are images.
        """
        values, stored = np.asarray(column.values), self.stored_in(split)
        count = len(self.images(stored))  # and tells which are left out
        gone = self.left_out[stored].numbers if stored in self.left_out else []
        check_entries(values, count + len(gone), f"What is said of the split {stored!r}")
        if gone:
            values = np.delete(values, gone, axis=0)
        rows = self.rows(split)
        return ConditionColumn(values if rows is None else values[rows], column.names)

    def left_out_notes(self) -> Iterator[str]:
        """A sentence for each split of which images are left out."""
        for split, left_out in self.left_out.items():
            if left_out.found:
                yield left_out.note(split, len(self.images(split)) + len(left_out.found))

    def note(self, thing: str) -> tuple[str, ...]:
        """A sentence on what is held out, where anything is.

        Args:
            thing: what of test images there is not, such as ``"file"``.
        """
        if not self._holds_out:
            return ()
        train, test = self._divided
        return (
            f"There is no {thing} of test images: {len(test):,} of {len(train) + len(test):,} "
            f"images are held out by their {self._options.split_by} (data.test_fraction).",
        )

    def keys(self, split: str) -> list[str] | None:
        """See `Dataset.keys`: the digests of the images' values; None: their positions."""
        keys, rows = self._keys(self.stored_in(split)), self.rows(split)
        return keys if keys is None or rows is None else [keys[row] for row in rows]

    def _keys(self, own: str) -> list[str] | None:
        """Those of all images of a split that the data set has."""
        return None if self._options.split_by == "position" else as_keys(self._digests_of(own))

    @functools.cached_property
    def _divided(self) -> tuple[np.ndarray, np.ndarray]:
        options, keys = self._options, self._keys("train")
        if keys is None:
            count = len(self.images("train"))
            return split_validation(count, options.test_fraction, options.split_seed)
        return hold_out(keys, options.test_fraction, options.split_seed, "test")
