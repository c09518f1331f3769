"""Clearing the folder of pulled presets: what nothing uses any more, or what is asked for."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hvae_core.errors import PresetError, did_you_mean
from hvae_core.files.replacing import LEFTOVER, disk_errors, remove_folder
from hvae_core.zoo.finding import installed_presets, presets_folder, pulled_presets
from hvae_core.zoo.preset import WEIGHTS_FILE, read_preset
from hvae_core.zoo.workplace import lock_path, pulling_folder


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
        What has gone, or would go. Presets that are being pulled are left alone.

    Raises:
        PresetError: a name is none of a pulled preset; nothing is removed.
        HvaeError: a folder cannot be removed.
    """
    found = list(_named(names) if names else _unused())
    if not dry_run:
        for item in found:
            _remove(Path(item.folder))
    return found


def _named(names: Sequence[str]) -> Iterator[Pruned]:
    pulled = pulled_presets()
    for name in names:
        if name not in pulled:
            hint = "It came with a package." if name in installed_presets() else ""
            raise PresetError(
                f"There is no pulled preset {name!r}.", hint or did_you_mean(name, pulled)
            )
    return iter([_item(name, pulled[name], "asked for") for name in dict.fromkeys(names)])


def _unused() -> Iterator[Pruned]:
    for path in _folders(pulling_folder()):
        if not path.name.startswith(".") and _free(path.name):
            yield _item(path.name, path, "interrupted pull")
    installed = installed_presets()
    for path in _folders(presets_folder()):
        if leftover := LEFTOVER.fullmatch(path.name):
            yield _item(leftover["name"], path, "left over by a process that was killed")
        elif path.name.startswith("."):
            continue
        elif not (path / WEIGHTS_FILE).is_file():
            yield _item(path.name, path, "has no weights")
        elif path.name in installed and not _same(path, installed[path.name][0]):
            yield _item(path.name, path, "of another version than the installed preset")


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _same(pulled: Path, installed: Path) -> bool:
    try:
        return read_preset(installed).weights.is_same_as(read_preset(pulled).weights)
    except PresetError:
        return False


def _free(name: str) -> bool:
    """Whether no process is pulling it."""
    import filelock

    lock = filelock.FileLock(lock_path(name), timeout=0)
    try:
        with lock:
            return True
    except filelock.Timeout:
        return False


def _item(name: str, folder: Path, reason: str) -> Pruned:
    size = sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir())
    return Pruned(name, str(folder), reason, size)


def _remove(folder: Path) -> None:
    with disk_errors(f"remove {folder}", ""):
        remove_folder(folder)
    with contextlib.suppress(OSError):
        lock_path(folder.name).unlink()
