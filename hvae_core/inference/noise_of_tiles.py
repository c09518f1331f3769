"""The noise of a rectangle of an image, the same numbers as in the whole image's noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np

from hvae_core.interfaces import Shape3
from hvae_core.prob.noise import normal_part, uniform_part

#: numbers that are drawn in about the time that it takes to begin anew in the middle of a row
WORTH_BEGINNING = 2048


class Rectangles(Protocol):
    """Arrays of which rectangles can be had."""

    def part(self, layer: int, where: tuple[slice, slice]) -> np.ndarray:
        """[h, w, c] of the layer at these rows and columns."""


class GivenRectangles:
    """Rectangles of arrays that are there.

    Args:
        layers: [h, w, c] each.
    """

    def __init__(self, layers: Sequence[np.ndarray]) -> None:
        self._layers = layers

    def part(self, layer: int, where: tuple[slice, slice]) -> np.ndarray:
        """See `Rectangles.part`."""
        return self._layers[layer][where]


class DrawnRectangles:
    """Rectangles of an image's noise, which is never held as a whole.

    Args:
        shapes: [(h, w, c)] of the arrays, in the order in which they are drawn.
        image: index of the image.
        seed: of the numbers.
        uniform: uniform numbers, `draw_uniform`'s; else standard-normal ones, `draw_normal`'s.
    """

    def __init__(
        self, shapes: Sequence[Shape3], image: int, seed: int, uniform: bool = False
    ) -> None:
        self._shapes = shapes
        self._draw = partial(uniform_part if uniform else normal_part, seed, image)
        sizes = [math.prod(shape) for shape in shapes]
        #: the place of each layer's first number
        self._starts = list(itertools.accumulate(sizes, initial=0))

    def part(self, layer: int, where: tuple[slice, slice]) -> np.ndarray:
        """See `Rectangles.part`."""
        _, width, channels = self._shapes[layer]
        rows, columns = where
        place = self._starts[layer]
        row = width * channels
        height, taken = rows.stop - rows.start, columns.stop - columns.start
        if (width - taken) * channels < WORTH_BEGINNING:
            drawn = self._draw(place + rows.start * row, place + rows.stop * row)
            return drawn.reshape(height, width, channels)[:, columns]
        part = np.empty((height, taken * channels), np.float32)
        for number in range(height):
            start = place + (rows.start + number) * row + columns.start * channels
            part[number] = self._draw(start, start + taken * channels)
        return part.reshape(height, taken, channels)
