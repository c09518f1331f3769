"""The contract of data sets, and what one says of itself."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

from hvae_core.errors import DataError
from hvae_core.interfaces.outputs import Shape3
from hvae_core.interfaces.values import UINT8, ImageValues


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Where a data set comes from."""

    title: str
    origin: str
    version: str
    licence: str
    citation: str = ""
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    download_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Invariance:
    """Which changes leave an image of a data set one that could belong to it.

    Args:
        range: how far it may be turned, moved and scaled: ``"small"`` or ``"large"``.
        mirrored: whether left and right may be exchanged.
        background: value of the pixels around what is shown, or None where images fill their
            frame and something has to be made up when they are moved.
    """

    range: Literal["small", "large"] = "small"
    mirrored: bool = False
    background: int | None = None


class ConditionColumn(NamedTuple):
    """What a split says of each of its images, in the images' order.

    ``values`` are classes, integers [N] from 0 on, or numbers [N, K], NaN where unknown; ``names``
    are those of the classes or of the numbers, as far as they are known.
    """

    values: np.ndarray
    names: tuple[str, ...] = ()


class ImageSource(Protocol):
    """Random access to the images of a split."""

    shape: Shape3

    def __len__(self) -> int:
        """Number of images."""

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """The images at ``indices``: native values [len(indices), H, W, C]."""


class Dataset(abc.ABC):
    """A data set. Builder: ``(options)``.

    Its images are uint8, unless its spec has ``image_values``, which gives `values` from the
    options before anything is opened.
    """

    info: DatasetInfo
    splits: tuple[str, ...]
    #: what the images' numbers are
    values: ImageValues = UINT8
    #: what an augmentation may do where the user does not say
    invariance: Invariance = Invariance()
    #: what of it a conditional model is given, as ``data.condition`` says; None: ``label``
    conditioned_on: str | tuple[str, ...] | None = None

    @property
    @abc.abstractmethod
    def shape(self) -> Shape3:
        """Shape [H, W, C] of an image."""

    @abc.abstractmethod
    def load(self, split: str) -> ImageSource:
        """Open a split.

        Raises:
            hvae_core.errors.DataError: the split is unknown or its files are missing or damaged.
        """

    def prepare(self) -> None:  # noqa: B027, most data sets have nothing to do
        """Bring the files to this machine, if they are not here yet."""

    def keys(self, split: str) -> Sequence[str] | None:
        """What each image of a split is known by, whatever other images there are.

        Which images are held out for validation follows from it, and so stays as it is when images
        come or go. None: from its number, as in data sets that never change.
        """
        return None

    def image_name(self, split: str, index: int) -> str:
        """What an image is called in messages."""
        return f"{split} image {index}"

    def notes(self) -> Sequence[str]:
        """Sentences for whoever uses it: what the splits were read from, what was left out."""
        return ()

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Random augmentation (training only) and binarization; shape and dtype stay."""
        return images

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """What a split says of its images under a name, ``label`` where there are classes.

        Args:
            name: a column's, or those of several columns of numbers.
            split: one of `splits`.

        Raises:
            hvae_core.errors.DataError: there is nothing of that name.
        """
        wanted = name if isinstance(name, str) else ", ".join(name)
        raise DataError(
            f"The data set {self.info.title!r} has no {wanted!r} to condition a model on.",
            "Set data.condition to what it has, or take a data set with labels.",
        )
