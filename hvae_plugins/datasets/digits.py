"""scikit-learn's handwritten digits, 8x8 pixels: real images that need no download."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydantic

from hvae_core.data.arrays import ArraySource
from hvae_core.data.binarize import BINARIZATION_HELP, Binarization, binarize_once, draw
from hvae_core.data.files import DatasetOptions, FileDataset
from hvae_core.errors import MissingDependencyError
from hvae_core.interfaces import ConditionColumn, DatasetInfo, Invariance, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec

_TEST_IMAGES = 360


class DigitsConfig(DatasetOptions):
    """Options of the digits."""

    binarization: Binarization = pydantic.Field("none", description=BINARIZATION_HELP)


class Digits(FileDataset):
    """1,797 digits with 17 grey levels, which become round(255 k / 16).

    The set has no published split; 360 images, chosen once by a fixed permutation, are the test
    images here.
    """

    info = DatasetInfo(
        title="Optical recognition of handwritten digits (8x8)",
        origin="https://archive.ics.uci.edu/dataset/80, as in scikit-learn",
        version="the 1,797 test images of the UCI set, as scikit-learn ships them",
        licence="CC-BY-4.0",
        citation="Alpaydin, E., Kaynak, C. (1998). Optical Recognition of Handwritten Digits. UCI.",
        sizes={"train": 1437, "test": 360},
    )
    splits = ("train", "test")
    shape: Shape3 = (8, 8, 1)
    invariance = Invariance(background=0)

    def __init__(self, options: DigitsConfig) -> None:
        self.options = options

    def load(self, split: str) -> ArraySource:
        """See `Dataset.load`."""
        self.check_split(split)
        images = np.rint(_published().images * (255 / 16)).astype(np.uint8)[..., None]
        images = images[_order(len(images), split)]
        seed = int(split == "train")
        return ArraySource(binarize_once(images, self.options.binarization, seed=seed))

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """See `Dataset.condition`: ``label``."""
        self.check_split(split)
        if name != "label":
            return super().condition(name, split)
        labels = np.asarray(_published().target)
        return ConditionColumn(labels[_order(len(labels), split)], tuple("0123456789"))

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Draw the pixels, where the binarization is dynamic."""
        return draw(images, rng) if self.options.binarization == "dynamic" else images


def _published() -> Any:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            "scikit-learn", "datasets", "The data set digits"
        ) from error
    return load_digits()


def _order(count: int, split: str) -> np.ndarray:
    """The images of a split."""
    # RandomState's streams never change, so the split is the same with every NumPy.
    order = np.random.RandomState(0).permutation(count)
    return order[:-_TEST_IMAGES] if split == "train" else order[-_TEST_IMAGES:]


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="digits",
        summary="scikit-learn's handwritten digits, 8x8 grey; no download",
        builder=Digits,
        config=DigitsConfig,
        references=("Alpaydin and Kaynak 1998, UCI machine learning repository",),
    )
