"""VDVAE's bottleneck residual block (Child 2020), as a plugin."""

from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the block."""
    return ComponentSpec(
        kind="block",
        name="bottleneck",
        summary="1x1, k x k, k x k, 1x1 convolutions, activation first, with a skip connection",
        builder="hvae_plugins.blocks.bottleneck.layer:build",
        references=("Child 2020, Very Deep VAEs, arXiv 2011.10650",),
    )
