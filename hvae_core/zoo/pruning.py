"""Clearing the folder of pulled presets: what nothing uses any more, or what is asked for.

What is removed is held by the lock of its pull meanwhile, and looked at once more under it.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hvae_core.errors import PresetError, did_you_mean
from hvae_core.files.replacing import LEFTOVER, disk_errors, remove_folder
from hvae_core.zoo.folders import installed_presets, presets_folder, pulled_presets
from hvae_core.zoo.preset import WEIGHTS_FILE, read_preset
from hvae_core.zoo.workplace import held, lock_path, pulling_folder

_LOG = logging.getLogger("hvae")


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A folder that goes, or has gone: why, and its bytes."""

    name: str
    folder: str
    reason: str
    size: int

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return dataclasses.asdict(self)


def prune(names: Sequence[str] = (), *, dry_run: bool = False) -> list[Pruned]:
    """Remove pulled presets from this machine.

    Args:
        names: the pulled presets to remove. None: all that nothing uses, which are interrupted
            pulls, leftovers of a killed process, folders without weights, and weights of another
            version than the installed preset's.
        dry_run: only say what would go.

    Returns:
        What has gone, or would go. Presets that are being pulled are left alone, which the log
        ``hvae`` says.

    Raises:
        PresetError: a name is none of a pulled preset, or of one that is being pulled now; nothing
            is removed.
        HvaeError: a folder cannot be removed.
    """
    if names:
        return _prune_named(names, dry_run)
    gone, busy, installed = [], set(), installed_presets()
    for name, path in list(_candidates(installed)):
        if dry_run:
            is_free, item = _free(name), _item(name, path, _why(path, installed))
        else:
            with disk_errors(f"remove {path}", ""), held(name) as is_free:
                item = _remove(name, path, _why(path, installed)) if is_free else None
        if not is_free:
            busy.add(name)
        elif item is not None:
            gone.append(item)
    for name in sorted(busy):
        _LOG.warning("%s is being pulled by another process; it is left alone.", name)
    return gone


def _prune_named(names: Sequence[str], dry_run: bool) -> list[Pruned]:
    pulled = pulled_presets()
    for name in names:
        if name not in pulled:
            hint = "It came with a package." if name in installed_presets() else ""
            raise PresetError(
                f"There is no pulled preset {name!r}.", hint or did_you_mean(name, pulled)
            )
    found = [(name, pulled[name]) for name in dict.fromkeys(names)]
    for name, _ in found:
        if not _free(name):
            raise _being_pulled(name)
    gone = []
    for name, path in found:
        if dry_run:
            item = _item(name, path, "asked for")
        else:
            with disk_errors(f"remove {path}", ""), held(name) as is_free:
                if not is_free:  # since a moment ago
                    raise _being_pulled(name)
                item = _remove(name, path, "asked for")
        if item is not None:
            gone.append(item)
    return gone


def _candidates(installed: Mapping[str, Sequence[Path]]) -> Iterator[tuple[str, Path]]:
    """The names and folders of what nothing uses."""
    for path in [*_folders(pulling_folder()), *_folders(presets_folder())]:
        if _why(path, installed):
            leftover = LEFTOVER.fullmatch(path.name)
            yield (leftover["name"] if leftover else path.name), path


def _why(path: Path, installed: Mapping[str, Sequence[Path]]) -> str:
    """Why nothing uses a folder, or "" where something may.

    Args:
        path: the folder.
        installed: see `installed_presets`.
    """
    if path.parent == pulling_folder():
        return "" if path.name.startswith(".") else "interrupted pull"
    if LEFTOVER.fullmatch(path.name):
        return "left over by a process that was killed"
    if path.name.startswith("."):
        return ""
    if not (path / WEIGHTS_FILE).is_file():
        return "has no weights"
    if path.name in installed and not _same(path, installed[path.name][0]):
        return "of another version than the installed preset"
    return ""


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _same(pulled: Path, installed: Path) -> bool:
    try:
        return read_preset(installed).weights.is_same_as(read_preset(pulled).weights)
    except PresetError:
        return False


def _free(name: str) -> bool:
    """Whether no process is pulling it."""
    if not lock_path(name).is_file():
        return True
    with disk_errors(f"look whether {name} is being pulled", ""), held(name) as is_free:
        return is_free


def _being_pulled(name: str) -> PresetError:
    return PresetError(
        f"Cannot remove {name!r}: another process is pulling it.", "Wait for it, or end it."
    )


def _item(name: str, folder: Path, reason: str) -> Pruned | None:
    """What there is to remove, unless it has gone or is used by now."""
    if not reason or not os.path.lexists(folder):
        return None
    size = sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir())
    return Pruned(name, str(folder), reason, size)


def _remove(name: str, folder: Path, reason: str) -> Pruned | None:
    """Remove a folder whose lock is held. The lock's file stays, see `workplace`."""
    item = _item(name, folder, reason)
    if item is not None:
        remove_folder(folder)
    return item
