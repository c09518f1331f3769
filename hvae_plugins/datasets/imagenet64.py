"""ImageNet downsampled to 64x64 pixels."""

from __future__ import annotations

from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.datasets.downsampled_imagenet import (
    REFERENCES,
    DownsampledImageNet,
    DownsampledImageNetConfig,
)


def build(options: DownsampledImageNetConfig) -> DownsampledImageNet:
    """The data set."""
    return DownsampledImageNet(options, side=64)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="imagenet64",
        summary="ImageNet, 64x64 photographs, in two versions; needs a login to download",
        builder=build,
        config=DownsampledImageNetConfig,
        references=REFERENCES,
    )
