"""A configuration for others: without places on its author's machine, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from hvae_core.config import Config, parse_config
from hvae_core.errors import ConfigError

#: the name and password of an address, as in https://me:secret@host
_LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")

#: options of a data set whose texts are units and colours, though they may look like paths
_NO_PLACES = frozenset({"values", "background"})


def without_places(config: Config) -> Config:
    """The configuration with nothing in it that is at home on this machine alone.

    ``data.root`` is left out, or, where the data set cannot do without, cut down to its name. So
    are all other paths of the data set's options that are absolute or lead out of this folder;
    addresses lose name and password, and a mirror on this machine is left out. And
    ``train.trackers`` is empty: where a run was watched is nobody else's concern, and its server
    is not theirs.
    """
    values = config.to_dict()
    root = values["data"].pop("root", None)
    if str(values["data"].get("url")).startswith("file:"):
        del values["data"]["url"]
    values["data"] = {
        key: part if key in _NO_PLACES else _cut(part) for key, part in values["data"].items()
    }
    values["train"]["trackers"] = []
    try:
        return parse_config(values)
    except ConfigError:
        if root is None:
            raise
        values["data"]["root"] = _name_of(str(root))
        return parse_config(values)


def _cut(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _cut(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(part) for part in value]
    if not isinstance(value, str):
        return value
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(value)
        leads_out = ".." in path.parts and "://" not in value
        if path.is_absolute() or leads_out or value.startswith(("~/", "~\\")):
            return _name_of(value)
    return _LOGIN.sub("", value)


def _name_of(place: str) -> str:
    """The last part of a path of either system, where ``.`` and ``..`` are none."""
    name = PureWindowsPath(place).name  # which knows both separators
    return Path(place).resolve().name or place if name in ("", "..") else name
