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


def without_places(config: Config) -> Config:
    """The configuration with nothing in it that is at home on this machine alone.

    ``data.root`` is left out, or, where the data set cannot do without, cut down to its name. So
    are all other absolute paths of the data set's options; addresses lose name and password. And
    ``train.trackers`` is empty: where a run was watched is nobody else's concern, and its server
    is not theirs.
    """
    values = config.to_dict()
    root = values["data"].pop("root", None)
    values["data"] = _cut(values["data"])
    values["train"]["trackers"] = []
    try:
        return parse_config(values)
    except ConfigError:
        if root is None:
            raise
        values["data"]["root"] = Path(root).name
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
        if path.is_absolute() or value.startswith(("~/", "~\\")):
            return path.name or value
    return _LOGIN.sub("", value)
