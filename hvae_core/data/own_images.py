"""What data sets of a user's own images have in common: mirroring and binarization."""

from __future__ import annotations

import numpy as np
import pydantic

from hvae_core.data.binarize import BINARIZATION_HELP, Binarization, BinarizedOnce, draw
from hvae_core.data.files import DatasetOptions, horizontal_flip
from hvae_core.errors import DataError, did_you_mean
from hvae_core.interfaces import Dataset, ImageSource, Invariance


class OwnOptions(DatasetOptions):
    """Options that hold for any images."""

    flip: bool = pydantic.Field(
        False, description="mirror training images left to right, each with probability 1/2"
    )
    binarization: Binarization = pydantic.Field("none", description=BINARIZATION_HELP)


class OwnImages(Dataset):
    """A data set that mirrors and binarizes as its options say.

    Args:
        options: its options.
    """

    def __init__(self, options: OwnOptions) -> None:
        self.own = options
        self.invariance = Invariance(mirrored=options.flip)

    def load(self, split: str) -> ImageSource:
        """See `Dataset.load`."""
        if split not in self.splits:
            raise DataError(f"There is no split {split!r}.", did_you_mean(split, self.splits))
        source, kind = self.open_split(split), self.own.binarization
        if kind not in ("static", "threshold"):
            return source
        return BinarizedOnce(source, kind, seed=int(split == "train"))

    def open_split(self, split: str) -> ImageSource:
        """The images of a split that there is, as they are.

        Raises:
            DataError: they cannot be read.
        """
        raise NotImplementedError

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Draw the pixels, where the binarization is dynamic; flip at random in training."""
        if self.own.binarization == "dynamic":
            images = draw(images, rng)
        return horizontal_flip(images, rng) if training and self.own.flip else images
