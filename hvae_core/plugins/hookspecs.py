"""The hooks a plugin module may define, and the markers to define them with.

Sets of presets need no hook of their own: they are components of the kind ``preset``, see
`hvae_core.plugins.specs`.
"""

from __future__ import annotations

from typing import Any

import pluggy

from hvae_core.plugins.specs import ComponentSpec

PROJECT = "hvae"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """Every hook. A module with the entry point ``kind.name`` must define `hvae_component`."""

    @hookspec
    def hvae_component(self) -> ComponentSpec:  # type: ignore[empty-body]
        """The component that this module provides; its kind and name are the entry point's.

        Called once, when a configuration or a command first names the component. It must be
        quick and import no Keras: the spec names the builder as ``"package.module:function"``.
        """

    @hookspec
    def hvae_training_callbacks(self, config: Any) -> list[Any]:  # type: ignore[empty-body]
        """Callbacks (`hvae.callbacks`) for a run with this `Config`.

        Asked only of the plugins of the components that the configuration names, once, before
        the first update.

        Args:
            config: the run's configuration.

        Returns:
            The callbacks, an empty list for none.
        """
