"""The formats that checkpoints can be imported from."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from hvae_core.config import Config, create_component
from hvae_core.errors import HvaeError, PluginError
from hvae_core.interfaces import Importer
from hvae_core.plugins import manager


def find_importer(format: str, options: Mapping[str, Any] | None = None) -> Importer:
    """The importer of a format, a plugin of the kind ``import``.

    Args:
        format: its name.
        options: its options.

    Raises:
        PluginError: there is no such format.
        ConfigError: an option is not valid.
    """
    manager().find("import", format)
    return create_component("import", {**(options or {}), "name": format}).build()


def formats_that_describe(config: Config) -> list[str]:
    """The formats whose checkpoints may hold a model of this configuration."""
    names = []
    for name in manager().names("import"):
        # One that fails describes nothing; `hvae plugins list` says why.
        with contextlib.suppress(PluginError), manager().guarding("import", name):
            if _describes(name, config):
                names.append(name)
    return names


def _describes(format: str, config: Config) -> bool:
    try:
        return bool(find_importer(format).describes(config))
    except HvaeError:
        return False
