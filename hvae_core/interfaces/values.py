"""What the numbers of an image are: their type, their range and their unit."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from hvae_core.errors import ConfigError, HvaeError

PixelType = Literal["uint8", "uint16", "float32"]


@dataclasses.dataclass(frozen=True)
class ImageValues:
    """The native values of an image, which a data set gives and a likelihood scores.

    Args:
        dtype: of the arrays.
        low: the value shown as black; that of integers is 0.
        high: the value shown as white; the largest of integers, 2**bits - 1. Floating-point values
            may lie outside.
        unit: of floating-point values, such as "HU" or "counts"; "" where there is none.
    """

    dtype: PixelType = "uint8"
    low: float = 0.0
    high: float = 255.0
    unit: str = ""

    @classmethod
    def of_bits(cls, bits: int) -> ImageValues:
        """Integers of so many bits, 1 to 16: uint8 up to 8, else uint16."""
        return cls("uint8" if bits <= 8 else "uint16", 0.0, float(2**bits - 1))

    @property
    def is_discrete(self) -> bool:
        """Whether they are integers, whose probabilities bits/dim are of."""
        return self.dtype != "float32"

    @property
    def levels(self) -> int:
        """How many values an integer can have; 0 of floating-point numbers."""
        return int(self.high) + 1 if self.is_discrete else 0

    @property
    def center(self) -> float:
        """The middle of the range."""
        return (self.low + self.high) / 2

    @property
    def half_range(self) -> float:
        """Half the length of the range."""
        return (self.high - self.low) / 2

    @property
    def tensor_dtype(self) -> str:
        """What a graph takes and gives: uint8, else float32, which holds 16 bits exactly."""
        return "uint8" if self.dtype == "uint8" else "float32"

    def __str__(self) -> str:
        if self == UINT8:
            return "uint8"
        if self.is_discrete:
            return f"{self.dtype} of {int(self.high).bit_length()} bits"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.dtype} from {self.low:g} to {self.high:g}{unit}"

    def to_tensor_dtype(self, images: Any) -> np.ndarray:
        """The same values in `tensor_dtype`."""
        return np.asarray(images, self.tensor_dtype)

    def rounded(self, images: np.ndarray) -> np.ndarray:
        """What a model computed, in `dtype`: integers rounded and cut off at the range."""
        if not self.is_discrete:
            return np.asarray(images, np.float32)
        return np.clip(np.rint(images), 0, self.high).astype(self.dtype)

    def exact(self, array: np.ndarray) -> np.ndarray | None:
        """The same values in `dtype`, or None where they are no such values.

        Integers have to be whole and in the range; floating-point numbers finite, and those of 64
        bits are rounded to 32.
        """
        if array.dtype == self.dtype and self.dtype == "uint8":
            return array
        if array.dtype.kind not in "iuf":
            return None
        if not self.is_discrete:
            with np.errstate(over="ignore"):
                cast = array.astype(np.float32, copy=False)
            lost = array.dtype.kind != "f" and not np.array_equal(cast.astype(np.float64), array)
            return None if lost or not np.isfinite(cast).all() else cast
        if not array.size:
            return array.astype(self.dtype)
        if not (array.min() >= 0 and array.max() <= self.high):  # NaN too
            return None
        cast = array.astype(self.dtype, copy=False)
        return cast if np.array_equal(cast, array) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which the constructor takes."""
        return dataclasses.asdict(self)


#: what every component of version 1 of the plugin interface knows
UINT8 = ImageValues()


def check_image_values(
    found: ImageValues,
    expected: ImageValues,
    subject: str = "The images are",
    kind: type[HvaeError] = ConfigError,
) -> None:
    """Refuse images of other values than the model's: the one place where they are compared.

    Args:
        found: of the images.
        expected: the model's.
        subject: what has them, for the message, with its verb.
        kind: of the error.

    Raises:
        HvaeError: of this kind.
    """
    if found != expected:
        raise kind(
            f"{subject} {found}; the model was made for {expected}.",
            "Set the data set's values (data.values), or convert the images.",
        )
