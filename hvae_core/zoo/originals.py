"""What a ``preset.yaml`` says of an original's checkpoint, which is converted when it is pulled."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hvae_core.errors import PresetError
from hvae_core.files.foreign_numbers import is_whole

#: where the files are collected, in a preset's workplace
ORIGINALS = "originals"
#: no published checkpoint has a quarter of it
MAX_BYTES = 32 << 30
MAX_FILES = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_KEYS = {"format", "options", "files", "checkpoint", "config"}


@dataclasses.dataclass(frozen=True)
class OriginalFile:
    """A file of an original's: its name, what it must be, and where it is to be had."""

    name: str
    sha256: str
    size: int
    sources: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Original:
    """An original's checkpoint.

    Args:
        format: a plugin of the kind ``import``.
        files: what has to be fetched.
        checkpoint: the file that is the checkpoint; None: the folder of them.
        config: the file that is given as the original's configuration; None: the preset's own.
        options: the format's.
    """

    format: str
    files: tuple[OriginalFile, ...]
    checkpoint: str | None = None
    config: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def read_original(raw: Any, path: Path) -> Original | None:
    """What ``weights.original`` of a preset says.

    Args:
        raw: its value.
        path: the preset's file, for messages.

    Raises:
        PresetError: it has another form, or a file has no checksum or no size.
    """
    if raw is None:
        return None
    where = f"{path}: weights.original"
    if not isinstance(raw, Mapping) or set(raw) - _KEYS:
        raise PresetError(f"{where} must be a mapping of {', '.join(sorted(_KEYS))}.")
    listed = raw.get("files")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_FILES:
        raise PresetError(f"{where}.files must be a list of 1 to {MAX_FILES} files.")
    files = tuple(_file(entry, f"{where}.files[{place}]") for place, entry in enumerate(listed))
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise PresetError(f"{where}.files names a file twice: {', '.join(names)}.")
    options = raw.get("options") or {}
    if not isinstance(raw.get("format"), str) or not isinstance(options, Mapping):
        raise PresetError(f"{where} must have format, a text, and perhaps options, a mapping.")
    for key in ("checkpoint", "config"):
        if raw.get(key) is not None and raw[key] not in names:
            raise PresetError(f"{where}.{key} must be the name of one of its files.")
    checkpoint = raw.get("checkpoint") or (names[0] if len(names) == 1 else None)
    return Original(raw["format"], files, checkpoint, raw.get("config"), dict(options))


def _file(entry: Any, where: str) -> OriginalFile:
    keys = {"name", "sha256", "size", "sources"}
    if not isinstance(entry, Mapping) or set(entry) != keys:
        raise PresetError(f"{where} must be a mapping of {', '.join(sorted(keys))}.")
    name, sha256, size, sources = (entry[key] for key in ("name", "sha256", "size", "sources"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PresetError(f"{where}.name cannot be the name of a file in the cache.")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise PresetError(f"{where}.sha256 must be 64 hexadecimal digits in quotes.")
    if not is_whole(size, 1, MAX_BYTES):
        raise PresetError(f"{where}.size must be a number of bytes, at most {MAX_BYTES:,}.")
    if not isinstance(sources, list) or not sources or not all(isinstance(s, str) for s in sources):
        raise PresetError(f"{where}.sources must be a list of addresses.")
    return OriginalFile(name, sha256.lower(), size, tuple(sources))
