"""VDVAE's bottleneck residual block (Child 2020), as a plugin."""

from __future__ import annotations

from typing import Literal

import pydantic

from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class BottleneckConfig(pydantic.BaseModel):
    """Options of the block; `model.norm` and `model.conv` set them for the whole model."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    norm: Literal["none", "group"] = pydantic.Field("none", description="as model.norm")
    conv: Literal["dense", "depthwise5", "depthwise5-once"] = pydantic.Field(
        "dense", description="as model.conv"
    )
    pointwise: bool = pydantic.Field(
        True, description="first and last convolution are 1x1; else as large as the inner ones"
    )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the block."""
    return ComponentSpec(
        kind="block",
        name="bottleneck",
        summary="1x1, k x k, k x k, 1x1 convolutions, activation first, with a skip connection",
        builder="hvae_plugins.blocks.bottleneck.layer:Bottleneck",
        config=BottleneckConfig,
        references=("Child 2020, Very Deep VAEs, arXiv 2011.10650",),
    )
