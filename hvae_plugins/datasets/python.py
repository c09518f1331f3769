"""Images held by Python objects: ``hvae.train(..., dataset=images)``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pydantic

from hvae_core.data.binarize import BINARIZATION_HELP, Binarization, BinarizedOnce, draw
from hvae_core.data.files import DatasetOptions, horizontal_flip
from hvae_core.errors import DataError, did_you_mean
from hvae_core.interfaces import Dataset, DatasetInfo, ImageSource, Invariance, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class PythonConfig(DatasetOptions):
    """What is recorded of images held by Python objects, and the options that hold for them."""

    type: str = pydantic.Field(description="the object's type; recorded by hvae.train")
    shape: tuple[int, int, int] | None = pydantic.Field(
        None, description="height, width and channels of an image; recorded by hvae.train"
    )
    images: dict[str, int] = pydantic.Field(
        {}, description="number of images of each split; recorded by hvae.train"
    )
    digest: dict[str, str] = pydantic.Field(
        {}, description="what identifies the images of each split; recorded by hvae.train"
    )
    flip: bool = pydantic.Field(
        False, description="mirror training images left to right, each with probability 1/2"
    )
    binarization: Binarization = pydantic.Field("none", description=BINARIZATION_HELP)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _is_recorded(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "type" not in values:
            raise ValueError(
                "the data set python stands for images that hvae.train(..., dataset=images) is "
                "given; name one that is read from files"
            )
        return values


class PythonImages(Dataset):
    """The images of Python objects.

    Args:
        options: what is recorded, and the options.
        sources: the images of each split.

    Raises:
        DataError: there are no ``sources``: the images were held by another process.
    """

    def __init__(
        self, options: PythonConfig, sources: Mapping[str, ImageSource] | None = None
    ) -> None:
        if not sources:
            raise DataError(
                f"The images of this configuration were held by a Python object, a {options.type}, "
                "and cannot be opened again from here.",
                "Give them: hvae.train(..., resume=True, dataset=images) or "
                "hvae.evaluate(model, dataset=images); or name another data set, as in "
                "hvae evaluate RUN --dataset arrays --set data.test=FILE.npy",
            )
        self.options = options
        self.sources = dict(sources)
        if options.binarization in ("static", "threshold"):
            self.sources = {
                split: BinarizedOnce(source, options.binarization, seed=int(split == "train"))
                for split, source in sources.items()
            }
        self.invariance = Invariance(mirrored=options.flip)

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]
        """The splits that were given."""
        return tuple(self.sources)

    @property
    def shape(self) -> Shape3:
        """Shape [H, W, C] of an image."""
        return next(iter(self.sources.values())).shape

    @functools.cached_property
    def info(self) -> DatasetInfo:  # type: ignore[override]
        """What is known of the images."""
        return DatasetInfo(
            title=f"Images of a {self.options.type}",
            origin="given in Python",
            version=", ".join(self.options.digest.values()) or "as given",
            licence="unknown",
            sizes={split: len(source) for split, source in self.sources.items()},
        )

    def load(self, split: str) -> ImageSource:
        """See `Dataset.load`."""
        if split not in self.sources:
            raise DataError(f"There is no split {split!r}.", did_you_mean(split, self.splits))
        return self.sources[split]

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Binarize, and flip at random in training, if asked."""
        if self.options.binarization == "dynamic":
            images = draw(images, rng)
        return horizontal_flip(images, rng) if training and self.options.flip else images


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="python",
        summary="images held by Python objects: hvae.train(..., dataset=images)",
        builder=PythonImages,
        config=PythonConfig,
    )
