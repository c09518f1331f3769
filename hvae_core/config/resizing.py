"""The configuration of the same weights at another size of the images."""

from __future__ import annotations

import math
import operator
from typing import Any

from hvae_core.config.limits import MAX_SIDE
from hvae_core.config.loading import parse_config
from hvae_core.config.root import Config
from hvae_core.errors import BadInputError


def config_at_size(config: Config, height: Any, width: Any) -> Config:
    """The configuration of the model at another size; at its own, ``config`` itself.

    Args:
        config: the configuration.
        height: of an image, a multiple of ``config.model.multiples[0]``.
        width: a multiple of ``config.model.multiples[1]``.

    Raises:
        BadInputError: the model is of one size alone, or the sides are no such multiples.
        ConfigError: the model would be too large.
    """
    model = config.model
    size = (_side(height, "height"), _side(width, "width"))
    if size == model.image_shape[:2]:
        return config
    check_any_size(config)
    if any(side % multiple for side, multiple in zip(size, model.multiples, strict=True)):
        rows, columns = model.multiples
        up = (math.ceil(size[0] / rows) * rows, math.ceil(size[1] / columns) * columns)
        raise BadInputError(
            f"The size is {size[0]}x{size[1]}; this model needs a height in multiples of {rows} "
            f"and a width in multiples of {columns}, {model.reason_of_multiples}.",
            f"The next size is {up[0]}x{up[1]}. With tile= images of any size are reconstructed, "
            "encoded and denoised.",
        )
    finest = model.sizes[0]
    patch = model.patch_size
    resolutions = [
        (size[0] // patch * rows // finest[0], size[1] // patch * columns // finest[1])
        for rows, columns in model.sizes
    ]
    values = config.to_dict()
    values["model"]["resolutions"] = [list(pair) for pair in resolutions]
    values["model"]["trained_resolutions"] = [list(pair) for pair in model.trained_sizes]
    return parse_config(values)


def check_any_size(config: Config) -> None:
    """Refuse a model whose weights are those of one size.

    Raises:
        BadInputError: a scale has a learned bias or but one position; names it.
    """
    pin = config.model.pin
    if pin:
        height, width, _ = config.model.image_shape
        raise BadInputError(
            f"This model takes images of {height}x{width} alone: {pin}.",
            "A model is of any size with model.no_bias_above: 0 and a coarsest scale of more than "
            "one position, trained so from the start.",
        )


def _side(value: Any, name: str) -> int:
    try:
        side = operator.index(value)
    except TypeError:
        side = 0
    if side < 1:
        raise BadInputError(f"The {name} is {value!r}; it must be a whole number from 1 on.")
    if side > MAX_SIDE:
        raise BadInputError(
            f"The {name} is {side}; at most {MAX_SIDE} are supported.",
            "With tile= images of any size are reconstructed, encoded and denoised.",
        )
    return side
