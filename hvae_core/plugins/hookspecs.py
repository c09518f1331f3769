"""The hooks a plugin module may define."""

from __future__ import annotations

from typing import Any

import pluggy

from hvae_core.plugins.specs import ComponentSpec

PROJECT = "hvae"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def hvae_component() -> ComponentSpec | None:  # type: ignore[empty-body]
    """The component that this module provides."""
