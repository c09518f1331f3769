"""Convolutional (generalized) Sylvester flows (Hoogeboom et al. 2020), as a plugin.

`exponential`: the convolution exponential and the bound that makes it invertible; `convolutions`:
the masked network; `steps`: the layers; `flow`: the multi-scale stack of them.
"""

from __future__ import annotations

import math
from typing import Literal

import pydantic
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from hvae_core.config import PerScale, single
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class ConvSylvesterConfig(pydantic.BaseModel):
    """Options of the flow."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    channels: PerScale[PositiveInt] = pydantic.Field(
        128,
        description="hidden channels of the networks, rounded to what the latent's channels divide",
    )
    repeats: PerScale[PositiveInt] = pydantic.Field(
        1, description="ActNorm, Sylvester step and flip, so many times before a split"
    )
    levels: PerScale[PositiveInt | None] = pydantic.Field(
        3, description="cap on the levels, between which space is folded; null: down to 1x1"
    )
    split_first: PerScale[bool] = pydantic.Field(
        False, description="half of the latent channels stay Gaussian; needs an even latent_width"
    )
    spectral_norm: bool = pydantic.Field(
        True, description="bound the masked networks' kernels; that of the exponential always is"
    )
    network_norm: PositiveFloat = pydantic.Field(
        0.9, description="that bound: the largest norm of a convolution of the masked networks"
    )
    bound_heads: Literal["together", "each"] = pydantic.Field(
        "together",
        description="the four last convolutions of a network are bounded as one, or each of them, "
        "as in the original, which allows 1.5",
    )
    reflections: PerScale[PositiveInt] = pydantic.Field(
        8, description="Householder reflections that mix the channels, at most one a channel"
    )
    context_channels: PerScale[NonNegativeInt] = pydantic.Field(
        4, description="extra channels of the posterior that the networks see"
    )
    orient_context: bool = pydantic.Field(
        True,
        description="each level sees the context the way round its latent is; off, as in "
        "configurations before format 3: every other one sees it turned by 180 degrees, where "
        "repeats are odd",
    )
    terms: int = pydantic.Field(12, ge=9, description="terms of the exponential's power series")


def count_levels(side: int, cap: int | None) -> int:
    """min(floor(log2 side) + 1, cap), and no more than the side can be halved evenly."""
    levels = 1
    while side % 2 == 0 and (cap is None or levels < cap):
        side //= 2
        levels += 1
    return levels


def levels_of(options: ConvSylvesterConfig, shape: tuple[int, int, int]) -> int:
    """Levels of the flow of a latent [H, W, C], with the options of its scale."""
    return count_levels(math.gcd(*shape[:2]), single(options.levels, "levels"))


def alignment(options: ConvSylvesterConfig, shape: tuple[int, int, int]) -> int:
    """Side of the squares that the last level's positions are folded of."""
    return 2 ** (levels_of(options, shape) - 1)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the flow."""
    return ComponentSpec(
        kind="flow",
        name="conv-sylvester",
        summary="Multi-scale convolutional Sylvester flow with convolution exponentials",
        builder="hvae_plugins.flows.conv_sylvester.flow:ConvSylvester",
        config=ConvSylvesterConfig,
        references=("Hoogeboom et al. 2020, The Convolution Exponential, arXiv 2006.01910",),
        context_channels=lambda options, shape: options.context_channels,
        alignment=alignment,
        # Without a bound as tight as the default's, no small number of iterations gives it.
        inverse_gradient=lambda options: (
            options.spectral_norm
            and options.network_norm <= 0.9
            and options.bound_heads == "together"
        ),
    )
