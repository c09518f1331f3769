"""Depthwise attention (Apostolopoulou et al. 2022), as a plugin.

`sources`: what is attended to, and the attention itself as pure functions; `layer`: the Keras
layer that makes queries and keys.
"""

from __future__ import annotations

import pydantic
from pydantic import PositiveInt

from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class DaviConfig(pydantic.BaseModel):
    """Options of the attention."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    query_width: PositiveInt = pydantic.Field(20, description="channels of a query and of a key")
    queries: PositiveInt = pydantic.Field(
        1, description="queries of a layer; what they find is merged by a 1x1 convolution"
    )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the attention."""
    return ComponentSpec(
        kind="attention",
        name="davi",
        summary="Depthwise attention: each layer's prior and posterior attend to the layers before",
        builder="hvae_plugins.attention.davi.layer:Davi",
        config=DaviConfig,
        references=("Apostolopoulou et al. 2022, Deep Attentive VI, ICLR",),
    )
