"""The bounds of single options: far above what is published, below what hangs a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from hvae_core.config.section import MAX_SEED, out_of_range
from hvae_core.plugins.specs import MODEL_KINDS

#: pixels a side
MAX_SIDE = 16_384
MAX_CHANNELS = 65_536
#: at one scale
MAX_BLOCKS = 4_096
#: any whole number among the options of a model's component, such as a flow's layers
MAX_OPTION = 4_096
#: the image's levels go up to 16 bits
MAX_LIKELIHOOD_OPTION = 65_536

Side = Annotated[int, Field(gt=0, le=MAX_SIDE)]
#: of a scale or an image: an integer, or its height and width
Size = Annotated[
    Side | tuple[Side, Side],
    BeforeValidator(lambda size: check_pair(size)),
    AfterValidator(lambda size: as_size(size)),
]
Channels = Annotated[int, Field(gt=0, le=MAX_CHANNELS)]
Blocks = Annotated[int, Field(ge=0, le=MAX_BLOCKS)]
#: convolutions inside a block
MiddleLayers = Annotated[int, Field(ge=0, le=64)]


def check_pair(size: Any) -> Any:
    """Refuse a list that is no pair, in words that know of both forms."""
    if isinstance(size, list | tuple) and len(size) != 2:
        raise PydanticCustomError("size", "Input should be an integer or [height, width]")
    return size


def as_size(size: int | tuple[int, int]) -> int | tuple[int, int]:
    """A square as its side, anything else as it is."""
    return size[0] if isinstance(size, tuple) and size[0] == size[1] else size


def check_options(kind: str, options: Any) -> None:
    """Refuse a number that is not finite or in range, or too large for a model's component.

    Args:
        kind: the component's; those that build no part of a model may have whole numbers of int64.
        options: as they are given.

    Raises:
        ValueError: names the option.
    """
    given = options if isinstance(options, Mapping) else {}
    for key, value in given.items():
        values = value if isinstance(value, list) else [value]
        if any(isinstance(v, float) and not math.isfinite(v) for v in values):
            raise ValueError(f"the option {key!r} is {value}; expected finite numbers")
        for number in values:
            if expected := out_of_range(number, MAX_SEED):
                raise ValueError(f"the option {key!r} is {_number(number)}; expected {expected}")
    if kind not in MODEL_KINDS:
        return
    most = MAX_LIKELIHOOD_OPTION if kind == "likelihood" else MAX_OPTION
    for key, value in given.items():
        values = value if isinstance(value, list) else [value]
        large = [v for v in values if isinstance(v, int) and abs(v) > most]
        if large and not str(key).endswith("seed"):
            shown = _number(large[0])
            raise ValueError(f"the option {key!r} is {shown}; at most {most} is supported")


def _number(value: int | float) -> str:
    if abs(value) < 10**15:
        return str(value)
    return f"{value:.3g}" if abs(value) < 10**300 else "over 1e+300"
