"""The noise of a rectangle of an image, the same numbers as in the whole image's noise.

An image's numbers follow one another from one generator, layer by layer, row by row. Its state is
noted every few rows, so that any rectangle can be drawn again without the rest being kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from hvae_core.interfaces import Shape3
from hvae_core.prob.noise import generator_of

#: rows between two states that are noted
_ROWS = 16


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
        self._shapes, self._uniform = shapes, uniform
        self._generator = generator_of(seed, image, uniform)
        #: of each layer, the generator's state before row 0, 16, 32 ...
        self._states: list[list[Any]] = []
        for shape in shapes:
            states = []
            for row in range(0, shape[0], _ROWS):
                states.append(self._generator.bit_generator.state)
                self._rows(shape, min(_ROWS, shape[0] - row))
            self._states.append(states)

    def part(self, layer: int, where: tuple[slice, slice]) -> np.ndarray:
        """See `Rectangles.part`."""
        shape, (rows, columns) = self._shapes[layer], where
        first = rows.start // _ROWS
        self._generator.bit_generator.state = self._states[layer][first]
        parts = []
        for row in range(first * _ROWS, rows.stop, _ROWS):
            drawn = self._rows(shape, min(_ROWS, shape[0] - row))
            parts.append(drawn[max(0, rows.start - row) : rows.stop - row, columns])
        return np.concatenate(parts)

    def _rows(self, shape: Shape3, rows: int) -> np.ndarray:
        """The next rows [rows, w, c]."""
        flat = np.empty(rows * math.prod(shape[1:]), np.float32)
        draw = self._generator.random if self._uniform else self._generator.standard_normal
        draw(dtype=np.float32, out=flat)
        return flat.reshape(rows, *shape[1:])
