"""The registry: components found through entry points, loaded when a configuration names them."""

from hvae_core.plugins.entries import PluginEntry
from hvae_core.plugins.hookspecs import hookimpl, hookspec
from hvae_core.plugins.manager import PluginManager, manager
from hvae_core.plugins.specs import ComponentSpec

__all__ = ["ComponentSpec", "PluginEntry", "PluginManager", "hookimpl", "hookspec", "manager"]
