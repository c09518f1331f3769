"""The folders in which the presets of this machine lie: those of packages, and those pulled."""

from __future__ import annotations

from pathlib import Path

from hvae_core.errors import PluginError
from hvae_core.files.paths import is_folder
from hvae_core.files.places import cache_folder
from hvae_core.plugins import manager
from hvae_core.plugins.entries import is_strict
from hvae_core.zoo.preset import PRESET_FILE


def installed_presets() -> dict[str, list[Path]]:
    """The folders of the installed presets by name.

    Broken plugins are passed over; `hvae plugins list` and `hvae doctor` say why.

    Raises:
        PluginError: ``HVAE_STRICT_PLUGINS`` is set and one is broken or in conflict.
    """
    found: dict[str, list[Path]] = {}
    for entry in manager().entries("preset"):
        try:
            presets = _presets_of(entry.name)
        except PluginError:
            if is_strict():
                raise
            continue
        for name, path in presets.items():
            found.setdefault(name, []).append(path)
    return found


def pulled_presets() -> dict[str, Path]:
    """The folders of the pulled presets by name."""
    return _presets_in(presets_folder())


def presets_folder() -> Path:
    """Where pulled presets lie."""
    return cache_folder() / "presets"


def broken_hint() -> str:
    """Which plugins' presets are not available, in a sentence; "" where all are."""
    broken = [e.name for e in manager().entries("preset") if e.status in ("broken", "conflict")]
    return f" Presets of these plugins are not available: {', '.join(broken)}." if broken else ""


def _presets_of(plugin: str) -> dict[str, Path]:
    """The presets in the folder that a plugin builds.

    Raises:
        PluginError: there is no such folder, or the plugin fails in whatever way.
    """
    spec = manager().get("preset", plugin)
    with manager().guarding("preset", plugin):
        folder = spec.build()
        if not isinstance(folder, str | Path):
            raise PluginError(f"its builder gives {type(folder).__name__}, not a folder")
        if not is_folder(folder):
            raise PluginError(f"its builder gives what is no folder: {str(folder)!r}")
        return _presets_in(Path(folder))


def _presets_in(folder: Path) -> dict[str, Path]:
    return {
        path.parent.name: path.parent
        for path in sorted(folder.glob(f"*/{PRESET_FILE}"))
        if not path.parent.name.startswith(".")
    }
