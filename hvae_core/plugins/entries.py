"""What is installed, read from metadata alone: nothing of a plugin is imported."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from importlib import metadata

from hvae_core.plugins.specs import KINDS

GROUP = "hvae"


@dataclasses.dataclass
class PluginEntry:
    """A component's entry point.

    ``status`` is available (installed, not loaded yet), loaded, broken, conflict or disabled;
    ``reason`` says why for the last three.
    """

    kind: str
    name: str
    distribution: str
    version: str
    module: str
    status: str = "available"
    reason: str = ""

    @property
    def licence(self) -> str:
        """What the distribution states of its licence, or an empty string."""
        try:
            told = metadata.metadata(self.distribution)
        except metadata.PackageNotFoundError:
            return ""
        fields = told.get_all("License-Expression") or told.get_all("License")
        classified = [
            line.rpartition("::")[2].strip()
            for line in told.get_all("Classifier") or ()
            if line.startswith("License ::")
        ]
        stated = fields[0] if fields else ", ".join(classified)
        # The field may hold the licence's whole text.
        return stated.strip().partition("\n")[0]

    @property
    def full_name(self) -> str:
        """``kind.name``, as in the entry point."""
        return f"{self.kind}.{self.name}" if self.name else self.kind


def disabled_names() -> set[str]:
    """What ``HVAE_DISABLE_PLUGINS`` names: components, ``kind.name``, or distributions."""
    raw = os.environ.get("HVAE_DISABLE_PLUGINS", "")
    return {part.strip() for part in raw.split(",") if part.strip()}


def is_strict() -> bool:
    """Whether ``HVAE_STRICT_PLUGINS`` asks that a broken or conflicting plugin stops everything."""
    return os.environ.get("HVAE_STRICT_PLUGINS", "").lower() in ("1", "true", "yes")


def installed_entries() -> list[PluginEntry]:
    """All entry points of the group, each once, with disabled ones and conflicts marked."""
    found: dict[tuple[str, str, str], PluginEntry] = {}
    for point in metadata.entry_points(group=GROUP):
        kind, _, name = point.name.partition(".")
        distribution = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else ""
        # A distribution may lie twice on the path (a checkout and its installed form).
        found.setdefault(
            (kind, name, distribution), PluginEntry(kind, name, distribution, version, point.value)
        )
    entries = sorted(found.values(), key=lambda e: (e.kind, e.name, e.distribution))
    disabled = disabled_names()
    for entry in entries:
        if entry.kind not in KINDS or not entry.name:
            entry.status = "broken"
            entry.reason = (
                f"its entry point's name {entry.full_name!r} is not kind.name with one of the "
                f"kinds {', '.join(KINDS)}"
            )
        if disabled & {entry.name, entry.full_name, entry.distribution}:
            entry.status, entry.reason = "disabled", "named by HVAE_DISABLE_PLUGINS"
    mark_conflicts(entries)
    return entries


def mark_conflicts(entries: list[PluginEntry]) -> None:
    """Mark the entries that share kind and name with another that is not disabled."""
    active = [entry for entry in entries if entry.status not in ("disabled", "broken")]
    counts = Counter((entry.kind, entry.name) for entry in active)
    for entry in active:
        if counts[entry.kind, entry.name] > 1:
            others = [
                other.distribution
                for other in active
                if (other.kind, other.name) == (entry.kind, entry.name) and other is not entry
            ]
            entry.status = "conflict"
            entry.reason = (
                f"{', '.join(others)} provides this name too; "
                f"write {entry.distribution}:{entry.name} to choose"
            )
