"""Amortised planar flows (Rezende & Mohamed 2015), as a plugin."""

from __future__ import annotations

import pydantic
from pydantic import NonNegativeInt

from hvae_core.config import PerScale
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class PlanarConfig(pydantic.BaseModel):
    """Options of the flow."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    flows: PerScale[NonNegativeInt] = pydantic.Field(
        4, description="flows one after the other; 0: none at this scale"
    )
    context_channels: PerScale[NonNegativeInt] = pydantic.Field(
        2,
        description="extra channels of the posterior that the flow's parameters are made from; at "
        "least 1 where there are flows",
    )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the flow."""
    return ComponentSpec(
        kind="flow",
        name="planar",
        summary="Amortised planar flow",
        builder="hvae_plugins.flows.planar.layer:Planar",
        config=PlanarConfig,
        references=(
            "Rezende and Mohamed 2015, Variational Inference with Normalizing Flows, "
            "arXiv 1505.05770",
        ),
        context_channels=lambda options, shape: options.context_channels,
        enabled=lambda options: options.flows > 0,
        inverse_gradient=lambda options: True,
    )
