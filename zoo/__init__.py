"""The presets that come with hvae: one folder each, with ``preset.yaml``."""

from pathlib import Path

from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


def folder() -> Path:
    """The folder that holds the preset folders."""
    return Path(__file__).parent


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe this set of presets."""
    return ComponentSpec(
        kind="preset",
        name="zoo",
        summary="the presets that come with hvae",
        builder=folder,
    )
