"""Whole lines of an image are known, as the scan lines of an ultrasound probe are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pydantic

from hvae_core.errors import ConfigError
from hvae_core.interfaces import ImageValues, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.measurements.unknown import FillOptions, Masking, known_count


def _check(value: Any) -> int | float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no number of lines, such as 4, and no fraction of them")
    if isinstance(value, int):
        if value < 1:
            raise ValueError(f"it is {value}; a number of lines is 1 or more")
    elif not 0 < value <= 1:
        raise ValueError(
            f"it is {value}; a fraction is above 0 and at most 1, a number of lines is whole"
        )
    return value


#: so many lines, or such a fraction of them
Known = Annotated[int | float, pydantic.BeforeValidator(_check)]


class ColumnsOptions(FillOptions):
    """Options of the measurement."""

    known: Known = pydantic.Field(
        0.25, description="known lines: a whole number of them, or a fraction of all"
    )
    least: Known | None = pydantic.Field(
        None,
        description="draw the number of known lines anew for each image, from this to known",
    )
    order: Literal["uniform", "equispaced"] = pydantic.Field(
        "uniform", description="which lines: drawn without replacement, or at equal distances"
    )
    lines: list[pydantic.NonNegativeInt] | None = pydantic.Field(
        None, min_length=1, description="these lines, counted from 0, in place of known and order"
    )
    direction: Literal["columns", "rows"] = pydantic.Field("columns", description="what a line is")


class Columns(Masking):
    """Some columns (or rows) are known, the others are not.

    Args:
        options: which lines.
        image_shape: [H, W, C].
        values: what the images' numbers are.

    Raises:
        ConfigError: a line that is asked for lies outside the image, or more lines than it has, or
            least is above known.
    """

    def __init__(self, options: ColumnsOptions, image_shape: Shape3, values: ImageValues) -> None:
        super().__init__(options, image_shape, values)
        self.options = options
        self.across = 1 if options.direction == "columns" else 0
        self.total = image_shape[self.across]
        for key in ("known", "least"):
            number = getattr(options, key)
            if isinstance(number, int) and number > self.total:
                raise ConfigError(
                    f"The measurement's {key} is {number}; the images have {self.total} "
                    f"{options.direction}.",
                    "Give at most so many, or a fraction such as 0.25.",
                )
        if options.least is not None:
            least, most = (known_count(n, self.total) for n in (options.least, options.known))
            if least > most:
                raise ConfigError(
                    f"The measurement's least is {options.least}, above known, {options.known}.",
                    "Give the smaller number as least.",
                )
        for line in options.lines or ():
            if line >= self.total:
                raise ConfigError(
                    f"The measurement's lines name {line}; the images have {self.total} "
                    f"{options.direction}, from 0 to {self.total - 1}."
                )

    def mask(self, rng: np.random.Generator) -> np.ndarray:
        """See `Masking.mask`."""
        options = self.options
        count = known_count(options.known, self.total)
        if options.least is not None:
            count = int(rng.integers(known_count(options.least, self.total), count + 1))
        if options.lines is not None:
            chosen = np.array(options.lines)
        elif options.order == "equispaced":
            chosen = ((np.arange(count) + 0.5) * self.total / count).astype(int)
        else:
            chosen = rng.choice(self.total, count, replace=False)
        lines = np.zeros(self.total, bool)
        lines[chosen] = True
        row = lines[None, :] if self.across else lines[:, None]
        return np.broadcast_to(row, self.size).copy()


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the measurement."""
    return ComponentSpec(
        kind="measurement",
        name="columns",
        summary="Some of the columns or rows",
        builder=Columns,
        config=ColumnsOptions,
        short_option="known",
        references=("Penninga et al. 2025, arXiv 2501.03825",),
        trials=({}, {"known": 2, "order": "equispaced", "fill": 0}, {"least": 1, "known": 0.5},
                {"lines": [0, 2], "direction": "rows"}),
    )  # fmt: skip
