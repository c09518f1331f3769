"""Images held by Python objects: ``hvae.train(..., dataset=images)``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pydantic

from hvae_core.data.condition_cells import MissingColumnError, column_of_split
from hvae_core.data.own_images import NativeOptions, OwnImages
from hvae_core.errors import DataError
from hvae_core.interfaces import ConditionColumn, DatasetInfo, ImageSource, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class PythonConfig(NativeOptions):
    """What is recorded of images held by Python objects, and the options that hold for them."""

    type: str = pydantic.Field("array", description="the object's type; recorded by hvae.train")
    shape: tuple[int, int, int] | None = pydantic.Field(
        None, description="height, width and channels of an image; recorded by hvae.train"
    )
    images: dict[str, int] = pydantic.Field(
        {}, description="number of images of each split; recorded by hvae.train"
    )
    digest: dict[str, str] = pydantic.Field(
        {}, description="what identifies the images of each split; recorded by hvae.train"
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _is_recorded(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and not {"type", "values"} & values.keys():
            raise ValueError(
                "the data set python stands for images that hvae.train(..., dataset=images) is "
                "given; name one that is read from files"
            )
        return values


class PythonImages(OwnImages):
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
                "hvae evaluate RUN --dataset arrays --set data.files.test=FILE.npy",
            )
        super().__init__(options)
        self.options, self.sources = options, dict(sources)

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

    def open_split(self, split: str) -> ImageSource:
        """See `OwnImages.open_split`."""
        return self.sources[split]

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """See `Dataset.condition`: ``label``, what was given beside the images.

        That is the second of a pair (images, labels), or of each item that is a pair, or an item's
        entry ``label``, ``labels`` or ``y``. Texts are classes, see `column_of_split`.

        Raises:
            DataError: there is no such thing.
        """

        def labels_of(one: str) -> np.ndarray:
            labels = getattr(self.sources[one], "labels", None)
            if name != "label" or labels is None:
                raise MissingColumnError(
                    f"Nothing called {name!r} was given with the {one} images.",
                    "Give a pair (images, labels), arrays of one length, as dataset=, or items "
                    "that are such pairs.",
                )
            return np.asarray(labels)

        if (labels := labels_of(split)).dtype.kind != "U":
            return ConditionColumn(labels)
        return column_of_split(
            split,
            self.sources,
            name,
            lambda one: ({str(name): labels_of(one).tolist()}, ()),
            f"the {split} images",
        )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="python",
        summary="images held by Python objects: hvae.train(..., dataset=images)",
        builder=PythonImages,
        config=PythonConfig,
        image_values=lambda options: options.values.image_values(),
    )
