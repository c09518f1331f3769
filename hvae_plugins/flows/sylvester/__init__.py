"""Amortised Sylvester flows (van den Berg et al. 2018), as a plugin."""

from __future__ import annotations

from typing import Literal

import pydantic
from pydantic import NonNegativeInt, PositiveInt

from hvae_core.config import PerScale
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class SylvesterConfig(pydantic.BaseModel):
    """Options of the flow."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    variant: Literal["orthogonal", "householder", "triangular"] = pydantic.Field(
        "orthogonal",
        description="Q is D x M with orthonormal columns; a product of reflections (M = D); or the "
        "identity and the reversal in turn (M = D)",
    )
    flows: PerScale[NonNegativeInt] = pydantic.Field(
        4, description="flows one after the other; 0: none at this scale"
    )
    context_channels: PerScale[NonNegativeInt] = pydantic.Field(
        2,
        description="extra channels of the posterior that the flow's parameters are made from; at "
        "least 1 where there are flows",
    )
    orthogonal_vectors: PerScale[NonNegativeInt] = pydantic.Field(
        8, description="M of the orthogonal variant: 1 to the latent's H W C where there are flows"
    )
    reflections: PerScale[PositiveInt] = pydantic.Field(
        8, description="Householder reflections of the householder variant"
    )
    orthogonalization: Literal["householder", "bjorck"] = pydantic.Field(
        "householder",
        description="of the orthogonal variant: exact by reflections, or the original's iteration",
    )
    bjorck_iterations: PositiveInt = pydantic.Field(30, description="of bjorck")
    diagonal_bound: float = pydantic.Field(
        0.99, gt=0, le=1, description="largest entry on the diagonals; below 1 log_det is finite"
    )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the flow."""
    return ComponentSpec(
        kind="flow",
        name="sylvester",
        summary="Amortised Sylvester flow: orthogonal, Householder or triangular",
        builder="hvae_plugins.flows.sylvester.layer:Sylvester",
        config=SylvesterConfig,
        trials=(
            {"flows": 2, "orthogonal_vectors": 3},
            {"variant": "householder", "flows": 2, "reflections": 3},
            {"variant": "triangular", "flows": 3},
        ),
        references=("van den Berg et al. 2018, arXiv 1803.05649",),
        context_channels=lambda options, shape: options.context_channels,
        enabled=lambda options: options.flows > 0,
        inverse_gradient=lambda options: True,
    )
