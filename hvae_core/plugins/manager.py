"""Finding, loading and naming plugins (interim)."""

from __future__ import annotations

import dataclasses
import importlib
from functools import cache
from importlib import metadata
from typing import Any

from hvae_core.errors import PluginError, did_you_mean
from hvae_core.plugins.specs import ComponentSpec

GROUP = "hvae"


@dataclasses.dataclass
class PluginEntry:
    """One component."""

    kind: str
    name: str
    distribution: str
    version: str
    module: str
    status: str = "available"
    reason: str = ""


class PluginManager:
    """Components by kind and name."""

    def __init__(self) -> None:
        self._extra: dict[tuple[str, str], ComponentSpec] = {}
        self._specs: dict[tuple[str, str], ComponentSpec] = {}

    def entries(self, kind: str | None = None) -> list[PluginEntry]:
        found = []
        for point in metadata.entry_points(group=GROUP):
            its_kind, _, name = point.name.partition(".")
            if kind in (None, its_kind):
                found.append(PluginEntry(its_kind, name, point.dist.name, point.dist.version, point.value))
        return found

    def names(self, kind: str) -> list[str]:
        return sorted({e.name for e in self.entries(kind)} | {n for k, n in self._extra if k == kind})

    def register(self, plugin: Any) -> ComponentSpec:
        spec = plugin.hvae_component()
        self._extra[spec.kind, spec.name] = spec
        return spec

    def get(self, kind: str, name: str) -> ComponentSpec:
        if (kind, name) in self._extra:
            return self._extra[kind, name]
        if (kind, name) not in self._specs:
            for entry in self.entries(kind):
                if entry.name == name:
                    self._specs[kind, name] = importlib.import_module(entry.module).hvae_component()
                    break
            else:
                raise PluginError(f"There is no {kind} named {name!r}.", did_you_mean(name, self.names(kind)))
        return self._specs[kind, name]


@cache
def manager() -> PluginManager:
    """The process's plugin manager."""
    return PluginManager()
