"""What a data set promises."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from hvae_core.errors import DataError
from hvae_core.interfaces import Dataset
from hvae_core.plugins.testing.base import ComponentContract

IMAGES = 4


class DatasetContract(ComponentContract):
    """Tests of `hvae_core.interfaces.Dataset`; ``configs`` must name files that are here.

    Attributes:
        required_splits: splits that must be there.
    """

    kind = "dataset"
    required_splits: ClassVar[tuple[str, ...]] = ("train", "test")

    @pytest.fixture
    def dataset(self, options: Any) -> Dataset:
        """The data set."""
        return self.component.build(options)

    def test_it_says_where_it_comes_from(self, dataset: Dataset) -> None:
        """Model cards quote it."""
        assert isinstance(dataset, Dataset)
        for field in ("title", "origin", "version", "licence"):
            assert getattr(dataset.info, field), f"info.{field} is empty"

    def test_splits_have_images_of_the_stated_shape(self, dataset: Dataset) -> None:
        """Every split opens, and all are uint8 [N, H, W, C]."""
        assert set(self.required_splits) <= set(dataset.splits)
        assert len(dataset.shape) == 3
        for split in dataset.splits:
            source = dataset.load(split)
            assert len(source) > 0
            assert tuple(source.shape) == tuple(dataset.shape)
            indices = np.arange(min(IMAGES, len(source)))
            images = source.batch(indices)
            assert images.dtype == np.uint8
            assert images.shape == (len(indices), *dataset.shape)

    def test_an_unknown_split_is_refused(self, dataset: Dataset) -> None:
        """With an error for the user."""
        with pytest.raises(DataError, match="no-such-split"):
            dataset.load("no-such-split")

    def test_images_are_at_their_indices(self, options: Any, dataset: Dataset) -> None:
        """In any order, with repetitions, and again when opened again."""
        source = dataset.load("train")
        last = len(source) - 1
        indices = np.array([last, 0, last, last // 2])
        images = source.batch(indices)
        for image, index in zip(images, indices, strict=True):
            np.testing.assert_array_equal(image, source.batch(np.array([index]))[0])
        again = self.component.build(options).load("train")
        assert len(again) == len(source)
        np.testing.assert_array_equal(again.batch(indices), images)

    def test_a_batch_belongs_to_the_caller(self, dataset: Dataset) -> None:
        """Writing into it does not change the data set."""
        source = dataset.load("train")
        before = source.batch(np.array([0]))
        changed = source.batch(np.array([0]))
        changed[...] = 255 - changed
        np.testing.assert_array_equal(source.batch(np.array([0])), before)

    def test_transform_keeps_shape_and_follows_its_seed(self, dataset: Dataset) -> None:
        """And leaves the images it was given as they were."""
        source = dataset.load("train")
        images = source.batch(np.arange(min(IMAGES, len(source))))
        original = images.copy()
        for training in (True, False):
            first, second = (
                dataset.transform(images, np.random.default_rng(3), training) for _ in range(2)
            )
            assert first.dtype == np.uint8
            assert first.shape == images.shape
            np.testing.assert_array_equal(first, second)
            np.testing.assert_array_equal(images, original, "transform changed its input")
