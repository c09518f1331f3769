"""NVAE's residual cell (Vahdat & Kautz 2020), without its batch normalisation, as a plugin."""

from __future__ import annotations

import pydantic

from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class NvaeConfig(pydantic.BaseModel):
    """Options of the block."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    expansion: float | None = pydantic.Field(
        6.0,
        ge=1,
        le=64,
        description="inner channels for each one that comes in; null: model.encoder_middle_width "
        "and model.decoder_middle_width",
    )
    kernel_size: int = pydantic.Field(
        5, ge=1, le=31, description="side of the depthwise kernels; 1 at scales of 1x1 and 2x2"
    )
    squeeze: int = pydantic.Field(
        16,
        ge=0,
        description="channels for each hidden one of the squeeze-and-excitation, which has 4 at "
        "least; 0: there is none",
    )
    residual_scale: pydantic.PositiveFloat = pydantic.Field(
        0.1, description="of the branch that is added to the input"
    )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the block."""
    return ComponentSpec(
        kind="block",
        name="nvae",
        summary="NVAE's cell: expand, depthwise convolution, project, squeeze-and-excitation",
        builder="hvae_plugins.blocks.nvae.layer:NvaeCell",
        config=NvaeConfig,
        references=("Vahdat and Kautz 2020, NVAE, arXiv 2007.03898",),
    )
