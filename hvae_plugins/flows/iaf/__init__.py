"""Inverse autoregressive flows (Kingma et al. 2016), as a plugin."""

from __future__ import annotations

import pydantic
from pydantic import NonNegativeInt, PositiveInt

from hvae_core.config import PerScale
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class IafConfig(pydantic.BaseModel):
    """Options of the flow."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    flows: PerScale[NonNegativeInt] = pydantic.Field(
        4, description="flows one after the other, in reversed order in turn; 0: none at this scale"
    )
    hidden: PerScale[PositiveInt] = pydantic.Field(
        320, description="units of the two hidden layers of each flow's masked network"
    )
    context_channels: PerScale[NonNegativeInt] = pydantic.Field(
        2, description="extra channels of the posterior that the networks see"
    )
    gated: bool = pydantic.Field(
        False,
        description="z' = g z + (1 - g) m with a gate g, as the papers' code; it does not start as "
        "the identity",
    )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the flow."""
    return ComponentSpec(
        kind="flow",
        name="iaf",
        summary="Inverse autoregressive flow",
        builder="hvae_plugins.flows.iaf.layer:Iaf",
        config=IafConfig,
        references=(
            "Kingma et al. 2016, Improving Variational Inference with Inverse Autoregressive Flow, "
            "arXiv 1606.04934",
        ),
        context_channels=lambda options, shape: options.context_channels,
        enabled=lambda options: options.flows > 0,
    )
