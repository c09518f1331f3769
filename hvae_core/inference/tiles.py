"""An image in tiles that overlap: where they lie, and what is kept of each.

A tile starts at a multiple of the coarsest scale's step, so that every scale of it lies on the grid
of the whole image, and where a flow takes positions together, it takes the same ones. What
neighbours share is kept up to its middle from each.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import check_count, check_values
from hvae_core.inference.engine import Engine
from hvae_core.inference.noise_of_tiles import DrawnRectangles, GivenRectangles, Rectangles
from hvae_core.interfaces import Shape3

if TYPE_CHECKING:
    from hvae_core.config import Config

#: a side in pixels, or height and width
Sides = int | Sequence[int]


class SizedEngine(Engine, Protocol):
    """An engine that may be had for other sizes."""

    @property
    def config(self) -> Config:
        """The model's configuration."""

    def engine_at_size(self, height: int, width: int) -> Engine:
        """The same weights for images of another size.

        Raises:
            BadInputError: the model is of one size.
        """


@dataclasses.dataclass(frozen=True)
class Tile:
    """A rectangle of an image, in pixels.

    Args:
        computed: its rows and columns.
        kept: those of them whose results are kept; the tiles' fill the image.
    """

    computed: tuple[slice, slice]
    kept: tuple[slice, slice]

    @property
    def inside(self) -> tuple[slice, slice]:
        """What is kept, counted from the tile's corner."""
        pairs = zip(self.kept, self.computed, strict=True)
        rows, columns = (slice(k.start - c.start, k.stop - c.start) for k, c in pairs)
        return rows, columns


class Tiling:
    """The tiles of images of one size, and the engine that computes one.

    Images that are no multiple of the model's ``multiples``, or smaller than a tile, are continued
    as in a mirror.

    Args:
        engine: the model.
        size: height and width of the images.
        tile: height and width of a tile, or the side of a square; the model's own if None.
        overlap: pixels that neighbouring tiles share at least; a quarter of the tile if None.

    Raises:
        BadInputError: the model is of one size alone, or a number is impossible.
    """

    def __init__(
        self, engine: SizedEngine, size: tuple[int, int], tile: Sides | None, overlap: Sides | None
    ) -> None:
        from hvae_core.config.resizing import check_any_size

        check_any_size(engine.config)
        steps = engine.config.model.multiples
        reason = engine.config.model.reason_of_multiples
        own = engine.image_shape[:2]
        tiles = _pair(own if tile is None else tile, steps, "tile", reason)
        for side, step in zip(tiles, steps, strict=True):
            if not side:
                raise BadInputError(f"tile is {side}; it must be at least {step}.")
        if overlap is None:
            overlap = [
                min(math.ceil(side / 4 / step) * step, side - step)
                for side, step in zip(tiles, steps, strict=True)
            ]
        shared = _pair(overlap, steps, "overlap", reason)
        for side, part in zip(tiles, shared, strict=True):
            if part >= side:
                raise BadInputError(f"overlap is {part}; it must be smaller than the tile, {side}.")
        self.size = size
        self.engine = engine.engine_at_size(*tiles)
        self.padded = tuple(
            max(side, math.ceil(length / step) * step)
            for length, side, step in zip(size, tiles, steps, strict=True)
        )
        along = [
            list(_along(*numbers))
            for numbers in zip(self.padded, tiles, shared, steps, strict=True)
        ]
        self.tiles = [
            Tile((rows, columns), (kept_rows, kept_columns))
            for rows, kept_rows in along[0]
            for columns, kept_columns in along[1]
        ]
        #: [(h, w, c)] of the whole image's latent layers, coarsest first
        self.latent_shapes: list[Shape3] = [
            (h * self.padded[0] // tiles[0], w * self.padded[1] // tiles[1], c)
            for h, w, c in self.engine.latent_shapes
        ]

    def whole(self, image: np.ndarray) -> np.ndarray:
        """An image [H, W, C], continued to the size that the tiles fill."""
        missing = [full - side for full, side in zip(self.padded, self.size, strict=True)]
        if not any(missing):
            return image
        return np.pad(image, [*((0, more) for more in missing), (0, 0)], mode="symmetric")

    def noise(self, image: int, seed: int, given: Sequence[np.ndarray] | None = None) -> Rectangles:
        """The latents' noise of an image, the numbers of `latent_noise`, or those given."""
        if given is not None:
            return GivenRectangles([layer[image] for layer in given])
        return DrawnRectangles(self.latent_shapes, image, seed)

    def pixel_noise(self, image: int, seed: int) -> Rectangles:
        """The pixels' noise of an image, the numbers of `hvae_core.inference.rows.pixel_noise`."""
        height, width = self.padded
        shape = (height, width, self.engine.likelihood.noise_channels())
        return DrawnRectangles([shape], image, seed, uniform=True)

    def at_tile(self, noise: Rectangles, tile: Tile, layers: int | None = None) -> list[np.ndarray]:
        """The noise [1, h, w, c] of the latent layers, or the first so many, at a tile."""
        count = len(self.latent_shapes) if layers is None else layers
        return [
            noise.part(layer, self.at_layer(tile.computed, layer))[None] for layer in range(count)
        ]

    def put(self, target: np.ndarray, tile: Tile, values: np.ndarray) -> None:
        """Write what is kept of a tile's ``values`` [..., h, w, c] to ``target`` [..., H, W, C]."""
        rows, columns = tile.kept
        height, width = target.shape[-3:-1]  # what was continued has no place there
        kept = values[..., tile.inside[0], tile.inside[1], :]
        kept = kept[..., : max(0, height - rows.start), : max(0, width - columns.start), :]
        target[..., rows, columns, :] = kept

    def at_layer(self, part: tuple[slice, slice], layer: int) -> tuple[slice, slice]:
        """A rectangle of the image, in positions of a latent layer."""
        rows, columns = (
            slice(s.start * side // full, s.stop * side // full)
            for s, side, full in zip(part, self.latent_shapes[layer], self.padded, strict=False)
        )
        return rows, columns


def _pair(value: Sides, steps: tuple[int, int], name: str, reason: str) -> tuple[int, int]:
    sides: list[Any] = list(value) if isinstance(value, Sequence) else [value, value]
    if len(sides) != 2:
        raise BadInputError(f"{name} is {value}; it must be a number, or a height and a width.")
    for side, step in zip(sides, steps, strict=True):
        if check_count(side, name, 0) % step:
            raise BadInputError(
                f"{name} is {side}; with this model it must be a multiple of {step}, {reason}."
            )
    return int(sides[0]), int(sides[1])


def _along(length: int, tile: int, overlap: int, step: int) -> list[tuple[slice, slice]]:
    """Along one axis: what each tile computes, and what is kept of it."""
    starts = [*range(0, length - tile, tile - overlap), length - tile]
    cuts = [
        second + (first + tile - second) // 2 // step * step
        for first, second in itertools.pairwise(starts)
    ]
    bounds = [0, *cuts, length]
    return [
        (slice(start, start + tile), slice(bounds[place], bounds[place + 1]))
        for place, start in enumerate(starts)
    ]


def check_whole_images(engine: Engine, x: Any, name: str = "x") -> np.ndarray:
    """Images [B, H, W, C] of any size, with the model's channels and values.

    Raises:
        BadInputError: they are not.
    """
    images, channels = np.asarray(x), engine.image_shape[-1]
    if images.ndim != 4 or not images.size or images.shape[-1] != channels:
        raise BadInputError(
            f"{name} has shape {list(images.shape)}; the model needs images [B, H, W, {channels}]."
        )
    return check_values(engine, images, name)


def sized(engine: Engine) -> SizedEngine:
    """The engine as one that may be had for other sizes, as models and exports are."""
    return cast("SizedEngine", engine)
