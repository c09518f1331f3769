"""The registry: components found through entry points, loaded when a configuration names them."""

from hvae_core.plugins.hookspecs import hookimpl, hookspec
from hvae_core.plugins.manager import PluginEntry, PluginManager, manager

__all__ = ["PluginEntry", "PluginManager", "hookimpl", "hookspec", "manager"]
