"""The levels that integers are divided into, and their places from -1 to 1."""

from __future__ import annotations

import dataclasses
import math

from keras import ops

from hvae_core.interfaces import ImageValues, Tensor


@dataclasses.dataclass(frozen=True)
class Levels:
    """``count`` levels of integers 0 to ``values.high``.

    Level k of n lies at -1 + 2k / (n - 1), and is round(high k / (n - 1)) as an integer.

    Args:
        values: the images' integers.
        count: of levels, from 2 to those that the integers have.
    """

    values: ImageValues
    count: int

    @property
    def half_bin(self) -> float:
        """Half the distance of two levels."""
        return 1.0 / (self.count - 1)

    @property
    def log_scale_floor(self) -> float:
        """A log scale at which a level has nearly all of its own mass, at most -7."""
        return min(-7.0, math.log(self.half_bin) - 1.0)

    def place(self, x: Tensor) -> Tensor:
        """Integers -> the level's place in [-1, 1], float32."""
        level = ops.floor(ops.cast(x, "float32") * (self.count / self.values.levels))
        return level * (2.0 / (self.count - 1)) - 1.0

    def integers(self, place: Tensor) -> Tensor:
        """A number in [-1, 1] -> the nearest level as an integer, in the graphs' type."""
        steps = self.count - 1
        level = ops.round((ops.clip(place, -1.0, 1.0) + 1.0) * (steps / 2.0))
        return ops.cast(ops.round(level * (self.values.high / steps)), self.values.tensor_dtype)
