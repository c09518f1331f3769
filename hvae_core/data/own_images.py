"""What data sets of a user's own images have in common: mirroring and binarization."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
import pydantic

from hvae_core.data.binarize import BINARIZATION_HELP, Binarization, BinarizedOnce, draw
from hvae_core.data.files import DatasetOptions, horizontal_flip
from hvae_core.errors import DataError, did_you_mean
from hvae_core.interfaces import UINT8, Dataset, ImageSource, ImageValues, Invariance
from hvae_core.interfaces.values import PixelType


class ValuesOptions(DatasetOptions):
    """What the numbers of the images are."""

    dtype: PixelType = pydantic.Field("uint8", description="uint8, uint16 or float32")
    bits: int | None = pydantic.Field(
        None, ge=9, le=16, description="of uint16: the largest value is 2**bits - 1; 16 if unset"
    )
    range: tuple[float, float] | None = pydantic.Field(
        None,
        description="of float32: what is shown as black and as white, and brought to -1 and 1 for "
        "the model; values may lie outside; [0, 1] if unset",
    )
    unit: str = pydantic.Field(
        "", max_length=40, description="of float32: the values' unit, such as HU"
    )

    @pydantic.model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if self.bits is not None and self.dtype != "uint16":
            raise ValueError(f"bits is for uint16, but dtype is {self.dtype}")
        if self.dtype != "float32" and (self.range is not None or self.unit):
            raise ValueError(f"range and unit are for float32, but dtype is {self.dtype}")
        if self.range is not None:
            low, high = self.range
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError(f"range is {low:g} to {high:g}; expected a lower and a higher one")
        return self

    def image_values(self) -> ImageValues:
        """The values that the options describe."""
        if self.dtype == "uint8":
            return UINT8
        if self.dtype == "uint16":
            return ImageValues.of_bits(self.bits or 16)
        return ImageValues("float32", *(self.range or (0.0, 1.0)), self.unit)

    @classmethod
    def of(cls, values: ImageValues) -> ValuesOptions:
        """The options that describe such values."""
        if values.dtype == "float32":
            return cls(dtype="float32", range=(values.low, values.high), unit=values.unit)
        bits = int(values.high).bit_length() if values.dtype == "uint16" else None
        return cls(dtype=values.dtype, bits=bits)


class OwnOptions(DatasetOptions):
    """Options that hold for any images."""

    flip: bool = pydantic.Field(
        False, description="mirror training images left to right, each with probability 1/2"
    )
    binarization: Binarization = pydantic.Field("none", description=BINARIZATION_HELP)


class NativeOptions(OwnOptions):
    """Options of images of any values."""

    values: ValuesOptions = pydantic.Field(
        ValuesOptions(),
        description="what their numbers are: `dtype` (uint8, uint16 or float32), `bits` (of "
        "uint16, 9 to 16), `range` (of float32: what is shown as black and as white; values may "
        "lie outside) and `unit` (of float32)",
    )

    @pydantic.model_validator(mode="after")
    def _binarizes_bytes(self) -> Self:
        if self.binarization != "none" and self.values.dtype != "uint8":
            raise ValueError(
                f"binarization is {self.binarization}, which is of uint8, but values.dtype is "
                f"{self.values.dtype}; set one of them back"
            )
        return self


class OwnImages(Dataset):
    """A data set that mirrors and binarizes as its options say.

    Args:
        options: its options.
    """

    def __init__(self, options: OwnOptions) -> None:
        self.own = options
        if isinstance(options, NativeOptions):
            self.values = options.values.image_values()
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
