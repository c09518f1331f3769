"""Radial flows for hvae (Rezende and Mohamed 2015): their description and options."""

from __future__ import annotations

import pydantic

from hvae.config import PerScale
from hvae.plugins import ComponentSpec, hookimpl


class RadialConfig(pydantic.BaseModel):
    """Options of the flow."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    layers: PerScale[pydantic.PositiveInt] = pydantic.Field(
        4, description="radial maps, one after the other"
    )
    context_channels: PerScale[pydantic.PositiveInt] = pydantic.Field(
        2, description="extra channels of the posterior that the maps are made from"
    )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the flow."""
    return ComponentSpec(
        kind="flow",
        name="radial",
        summary="Amortised radial flows",
        builder="hvae_radial_flow.flow:Radial",
        config=RadialConfig,
        references=("Rezende and Mohamed 2015, arXiv 1505.05770",),
        context_channels=lambda options, latent_shape: options.context_channels,
    )
