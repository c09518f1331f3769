"""Real attributes of an image, as a condition."""

from __future__ import annotations

import math
from typing import Self

import pydantic

from hvae_core.interfaces import ConditionValues
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class VectorConfig(pydantic.BaseModel):
    """Options of the condition."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    size: int = pydantic.Field(ge=1, description="how many numbers")
    names: list[str] | None = pydantic.Field(
        None, description="of the numbers; training takes those of the data set where it has some"
    )
    width: int = pydantic.Field(64, ge=1, description="channels of the embedding")
    hidden: list[int] = pydantic.Field([64], description="widths of the MLP's hidden layers")
    mean: list[float] | None = pydantic.Field(
        None, description="subtracted from the numbers first; null: 0"
    )
    scale: list[float] | None = pydantic.Field(
        None, description="they are then divided by this; null: 1"
    )
    typical: list[float] | None = pydantic.Field(
        None,
        description="numbers that the model is shown under where none are asked for, as in grids "
        "of samples; training takes the means of the training images'; null: mean",
    )
    dropout: float = pydantic.Field(
        0.0,
        ge=0,
        lt=1,
        description="part of the training images whose numbers are all unknown, for guidance",
    )

    @pydantic.model_validator(mode="after")
    def _has_one_of_each(self) -> Self:
        for key in ("names", "mean", "scale", "typical"):
            given = getattr(self, key)
            if given is not None and len(given) != self.size:
                raise ValueError(f"{key} has {len(given)} entries, but size is {self.size}")
        if self.names is not None and len(set(self.names)) < self.size:
            raise ValueError("names has a name twice")
        for key in ("mean", "typical"):
            if not all(map(math.isfinite, getattr(self, key) or ())):
                raise ValueError(f"{key} must be finite numbers")
        if not all(s > 0 and math.isfinite(s) for s in self.scale or ()):
            raise ValueError("scale must be finite numbers above 0")
        if not all(width >= 1 for width in self.hidden):
            raise ValueError("hidden must be widths of at least 1")
        return self


def condition_values(options: VectorConfig) -> ConditionValues:
    """The numbers."""
    names, typical = tuple(options.names or ()), tuple(options.typical or options.mean or ())
    return ConditionValues("numbers", options.size, names, options.dropout, typical)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the condition."""
    return ComponentSpec(
        kind="condition",
        name="vector",
        summary="real attributes through an MLP; each may be unknown",
        builder="hvae_plugins.conditions.vector.layer:Vector",
        config=VectorConfig,
        references=("de Sousa Ribeiro et al. 2023, arXiv 2306.15764",),
        condition_values=condition_values,
        trials=(
            {"size": 2},
            {"size": 1, "width": 8, "hidden": [], "dropout": 0.1},
            {"size": 2, "hidden": [4, 4], "mean": [1.0, 2.0], "scale": [0.5, 3.0]},
        ),
    )
