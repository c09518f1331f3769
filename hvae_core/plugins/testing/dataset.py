"""The contract of data sets."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from hvae_core.errors import DataError
from hvae_core.interfaces import Dataset, DatasetInfo
from hvae_core.plugins.testing.component import ComponentContract
from hvae_core.plugins.version_1 import given_values


class DatasetContract(ComponentContract):
    """A data set gives images of the values it declares by index, and says where they come from.

    Attributes:
        complete: whether the files that ``configs`` name are the whole published set, so that
            the splits have the sizes in its `DatasetInfo`.
    """

    kind = "dataset"
    needs_keras = False
    complete: ClassVar[bool] = True

    def make(self, config: dict[str, Any]) -> Dataset:
        """The data set."""
        return self.component.build(self.options(config))

    def test_it_says_what_it_is(self, config: dict[str, Any]) -> None:
        """Splits, an image shape, and title, origin, version and licence."""
        dataset = self.make(config)
        assert isinstance(dataset, Dataset)
        assert dataset.splits
        assert len(set(dataset.splits)) == len(dataset.splits)
        assert len(dataset.shape) == 3
        assert all(isinstance(side, int) and side > 0 for side in dataset.shape)
        assert dataset.values == given_values(self.component, self.options(config))
        assert isinstance(dataset.info, DatasetInfo)
        for key in ("title", "origin", "version", "licence"):
            assert getattr(dataset.info, key).strip(), f"info.{key} is empty"
        assert set(dataset.info.sizes) <= set(dataset.splits)

    def test_images_are_reached_by_index(self, config: dict[str, Any]) -> None:
        """Any order, with repeats: [k, H, W, C], the same image at the same index."""
        dataset = self.make(config)
        dataset.prepare()
        for split in dataset.splits:
            source = dataset.load(split)
            assert len(source) > 1
            assert tuple(source.shape) == tuple(dataset.shape)
            if self.complete and split in dataset.info.sizes:
                assert len(source) == dataset.info.sizes[split]
            last = len(source) - 1
            images = source.batch(np.array([last, 0, last]))
            declared = dataset.values
            assert images.dtype == declared.dtype, f"{images.dtype}, declared is {declared}"
            assert declared.exact(images) is not None, f"the values are not those of {declared}"
            assert images.shape == (3, *dataset.shape)
            np.testing.assert_array_equal(images[0], images[2])
            again = dataset.load(split).batch(np.array([0, last]))
            np.testing.assert_array_equal(again, images[[1, 2]])
            assert source.batch(np.array([], np.int64)).shape == (0, *dataset.shape)
            keys = dataset.keys(split)
            assert keys is None or len(keys) == len(source)
            assert dataset.image_name(split, last)
        assert all(isinstance(note, str) for note in dataset.notes())

    def test_a_batch_is_the_caller_s_to_change(self, config: dict[str, Any]) -> None:
        """Writing into a batch does not change the data set."""
        dataset = self.make(config)
        source = dataset.load(dataset.splits[0])
        images = source.batch(np.arange(2))
        kept = images.copy()
        images[:] = dataset.values.high - images
        np.testing.assert_array_equal(source.batch(np.arange(2)), kept)

    def test_an_unknown_split_is_refused(self, config: dict[str, Any]) -> None:
        """With a `DataError`."""
        with pytest.raises(DataError):
            self.make(config).load("no-such-split")

    @pytest.mark.parametrize("training", [False, True])
    def test_transform_follows_the_generator(self, config: dict[str, Any], training: bool) -> None:
        """The same shape and type; the same generator gives the same images; input unchanged."""
        dataset = self.make(config)
        source = dataset.load(dataset.splits[0])
        images = source.batch(np.arange(min(8, len(source))))
        kept = images.copy()
        first, second = (
            dataset.transform(images, np.random.default_rng(3), training) for _ in range(2)
        )
        assert first.dtype == images.dtype
        assert first.shape == images.shape
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(images, kept)
