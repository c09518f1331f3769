"""Single pixels, all but some boxes, or all but some strokes are known."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pydantic

from hvae_core.interfaces import ImageValues, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.measurements.unknown import FillOptions, Masking, known_count


class MaskOptions(FillOptions):
    """Options of the measurement."""

    shape: Literal["pixels", "boxes", "free-form"] = pydantic.Field(
        "pixels",
        description="what is drawn: pixels that are known, or boxes or strokes of a brush (Yu et "
        "al. 2019) that are not",
    )
    known: float = pydantic.Field(
        0.25,
        gt=0,
        lt=1,
        description="fraction of the pixels that is known; boxes and strokes are drawn until no "
        "more is",
    )
    size: float = pydantic.Field(
        0.5, gt=0, le=1, description="longest side of a box or of a piece of a stroke, in images"
    )
    brush: float = pydantic.Field(0.15, gt=0, le=1, description="width of a stroke, in images")


class Mask(Masking):
    """Pixels that are known, or shapes that are not.

    Args:
        options: what is drawn.
        image_shape: [H, W, C].
        values: what the images' numbers are.
    """

    def __init__(self, options: MaskOptions, image_shape: Shape3, values: ImageValues) -> None:
        super().__init__(options, image_shape, values)
        self.options = options

    def mask(self, rng: np.random.Generator) -> np.ndarray:
        """See `Masking.mask`. At least one pixel is known."""
        count = math.prod(self.size)
        known = known_count(self.options.known, count)
        if self.options.shape == "pixels":
            mask = np.zeros(count, bool)
            mask[rng.choice(count, known, replace=False)] = True
            return mask.reshape(self.size)
        draw = self._box if self.options.shape == "boxes" else self._stroke
        mask = np.ones(self.size, bool)
        while mask.sum() > known:
            hidden = mask & ~draw(rng)
            if not hidden.any():  # the last shape would leave nothing
                break
            mask = hidden
        return mask

    def _box(self, rng: np.random.Generator) -> np.ndarray:
        box = np.zeros(self.size, bool)
        longest = [max(1, round(self.options.size * side)) for side in self.size]
        sides = [int(rng.integers(max(1, side // 2), side + 1)) for side in longest]
        starts = [int(rng.integers(0, a - b + 1)) for a, b in zip(self.size, sides, strict=True)]
        box[tuple(slice(a, a + b) for a, b in zip(starts, sides, strict=True))] = True
        return box

    def _stroke(self, rng: np.random.Generator) -> np.ndarray:
        """A chain of segments, each turning from the one before, as thick as the brush."""
        rows, columns = np.indices(self.size) + 0.5
        side = min(self.size)
        radius = max(0.5, self.options.brush * side / 2)
        drawn = np.zeros(self.size, bool)
        start = rng.uniform(0, 1, 2) * self.size
        angle = rng.uniform(0, 2 * math.pi)
        for _ in range(int(rng.integers(2, 5))):
            angle += rng.uniform(-1, 1) * math.pi / 2
            length = rng.uniform(0.5, 1) * self.options.size * side
            step = length * np.array([math.sin(angle), math.cos(angle)])
            offset = np.stack([rows - start[0], columns - start[1]], axis=-1)
            along = np.clip(offset @ step / length**2, 0, 1)[..., None] * step
            drawn |= np.linalg.norm(offset - along, axis=-1) <= radius
            start = np.clip(start + step, 0, self.size)
        return drawn


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the measurement."""
    return ComponentSpec(
        kind="measurement",
        name="mask",
        summary="Single pixels, or all but boxes or strokes of a brush",
        builder=Mask,
        config=MaskOptions,
        short_option="known",
        references=(
            "Harvey et al. 2022, arXiv 2102.12037",
            "Yu et al. 2019, Free-Form Image Inpainting with Gated Convolution, arXiv 1806.03589",
        ),
        trials=({}, {"shape": "boxes", "known": 0.6}, {"shape": "free-form", "known": 0.5}),
    )
