"""A class of an image, as a condition."""

from __future__ import annotations

from typing import Self

import pydantic

from hvae_core.interfaces import ConditionValues
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class LabelConfig(pydantic.BaseModel):
    """Options of the condition."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    classes: int = pydantic.Field(ge=1, description="how many there are; they count from 0")
    names: list[str] | None = pydantic.Field(
        None, description="of the classes; training takes those of the data set where it has some"
    )
    width: int = pydantic.Field(64, ge=1, description="channels of the embedding")
    dropout: float = pydantic.Field(
        0.0,
        ge=0,
        lt=1,
        description="part of the training images that get the null class, for guidance",
    )

    @pydantic.model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if self.names is not None:
            if len(self.names) != self.classes:
                raise ValueError(f"names has {len(self.names)} entries, but classes is "
                                 f"{self.classes}")  # fmt: skip
            if len(set(self.names)) < len(self.names):
                raise ValueError("names has a name twice")
        return self


def condition_values(options: LabelConfig) -> ConditionValues:
    """One of the classes."""
    names = tuple(options.names or ())
    return ConditionValues("class", options.classes, names, options.dropout)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the condition."""
    return ComponentSpec(
        kind="condition",
        name="label",
        summary="a learned embedding of each class, and of a null class for guidance",
        builder="hvae_plugins.conditions.label.layer:Label",
        config=LabelConfig,
        references=("Ho and Salimans 2022, Classifier-Free Diffusion Guidance, arXiv 2207.12598",),
        condition_values=condition_values,
        trials=({"classes": 4}, {"classes": 2, "width": 8, "dropout": 0.1}),
    )
