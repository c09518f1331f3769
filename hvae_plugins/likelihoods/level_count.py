"""The option ``levels`` of likelihoods of integers."""

from __future__ import annotations

from typing import Annotated

import pydantic

from hvae_core.errors import ConfigError
from hvae_core.interfaces import ImageValues

LevelCount = Annotated[
    int | None,
    pydantic.Field(
        ge=2,
        le=65_536,
        description="levels that the values are divided into; all that there are if unset",
    ),
]


def count_levels(chosen: int | None, values: ImageValues) -> int:
    """The levels that the option asks for.

    Raises:
        ConfigError: there are more than the images' integers have.
    """
    count = values.levels if chosen is None else chosen
    if count > values.levels:
        raise ConfigError(
            f"likelihood.levels is {count}, but the data set's images are {values}.",
            f"Set it to at most {values.levels}.",
        )
    return count
