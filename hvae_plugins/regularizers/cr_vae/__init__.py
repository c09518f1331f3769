"""Consistency regularization (Sinha & Dieng 2021), as a plugin.

`augmentation`: the augmented copies, in NumPy; `term`: the term of the loss.
"""

from __future__ import annotations

from typing import Literal

import pydantic

from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class CrVaeConfig(pydantic.BaseModel):
    """Options of the regularizer. What is unset follows from the augmentation and the data set."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    weight: float = pydantic.Field(0.1, ge=0, description="of the term; beta does not touch it")
    shared_noise: bool = pydantic.Field(
        True, description="an image and its copy draw their latents with the same noise"
    )
    mode: Literal["paths", "exact"] = pydantic.Field(
        "paths",
        description="paths: KL between the posteriors of the two passes, layer by layer; exact: "
        "the hierarchical KL, from a further pass of the image along its copy's latents",
    )
    augmentation: Literal["small", "large", "none"] | None = pydantic.Field(
        None,
        description="small: rotation 15, shift 0.05, scale 0.1; large: 30, 0.1, 0.25; if unset, "
        "what the data set says of itself",
    )
    rotation: float | None = pydantic.Field(
        None, ge=0, le=180, description="largest angle in degrees, either way"
    )
    shift: float | None = pydantic.Field(
        None, ge=0, lt=1, description="largest shift along each axis, as a part of the side"
    )
    scale: float | None = pydantic.Field(
        None, ge=0, lt=1, description="sizes from 1 - scale to 1 + scale"
    )
    flip: bool | None = pydantic.Field(
        None, description="mirror left to right with probability 1/2; if unset, as the data set"
    )
    vertical_flip: bool = pydantic.Field(
        False, description="mirror top to bottom with probability 1/2"
    )
    colour: float = pydantic.Field(
        0.0, ge=0, lt=1, description="brightness, contrast and saturation times 1 - c to 1 + c"
    )
    brightness: float | None = pydantic.Field(
        None, ge=0, lt=1, description="that of brightness alone, in place of colour"
    )
    contrast: float | None = pydantic.Field(
        None, ge=0, lt=1, description="that of contrast alone, in place of colour"
    )
    saturation: float | None = pydantic.Field(
        None, ge=0, lt=1, description="that of saturation alone, in place of colour"
    )
    hue: float = pydantic.Field(
        0.0, ge=0, le=0.5, description="hues turned by -h to h, as a part of the whole circle"
    )
    border: Literal["background", "edge", "reflect"] | None = pydantic.Field(
        None,
        description="pixels from outside the image: the data set's background (0 if it has none), "
        "the nearest, or mirrored at the edge; if unset, background where there is one, else "
        "reflect",
    )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the regularizer."""
    return ComponentSpec(
        kind="regularizer",
        name="cr-vae",
        summary="Consistency of the posteriors of an image and its augmented copy",
        builder="hvae_plugins.regularizers.cr_vae.term:CrVae",
        config=CrVaeConfig,
        references=("Sinha and Dieng 2021, Consistency Regularization for VAEs, NeurIPS",),
        supports=("invertible-flow",),
    )
