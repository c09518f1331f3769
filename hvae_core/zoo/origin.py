"""What is noted of where a pulled preset came from, and how it is pulled from there again."""

from __future__ import annotations

import json
import re
import shlex
import urllib.parse
from pathlib import Path

from hvae_core.errors import PresetError
from hvae_core.fetching.addresses import HubAddress, is_address
from hvae_core.files.json_files import read_object
from hvae_core.files.replacing import replace_file

ORIGIN_FILE = "origin.json"
UNKNOWN = "an unknown place"
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def note_origin(folder: Path, origin: str) -> None:
    """Write down where a preset came from: the address of its folder, or of its weights alone."""
    replace_file(folder / ORIGIN_FILE, json.dumps({"source": origin}))


def read_origin(folder: Path) -> str:
    """Where a pulled preset came from."""
    try:
        source = read_object(folder / ORIGIN_FILE, PresetError).get("source")
    except PresetError:
        return UNKNOWN
    return source if isinstance(source, str) else UNKNOWN


def name_in(address: str) -> str:
    """The name, unchecked, under which the preset at an address is pulled.

    Raises:
        PresetError: it is a malformed address on the Hub.
    """
    if address.startswith("hf://"):
        return HubAddress.parse(address).cache_name
    path = urllib.parse.unquote(urllib.parse.urlsplit(address).path).rstrip("/")
    return path.rpartition("/")[2]


def pull_again(folder: Path, name: str, has_sources: bool) -> str:
    """The command that pulls a preset once more, in the place of what is in ``folder``.

    It gives the address of the preset's folder, where that is known: what is there may have
    changed, and ``hf--owner--name@revision`` is no name to pull by. Else it gives the name.

    Args:
        folder: of the pulled preset.
        name: under which it was pulled.
        has_sources: whether its ``preset.yaml`` says where the weights are.
    """
    origin = read_origin(folder)
    source = _folder_address(origin, name)
    if not source and NAME_PATTERN.fullmatch(name) and (has_sources or is_address(origin)):
        source = name
    return f"hvae zoo pull {shlex.quote(source or 'ADDRESS')} --force"


def _folder_address(origin: str, name: str) -> str:
    """What pulls the preset under this name, or "" where the origin is none of a whole preset."""
    if not is_address(origin):
        return ""
    try:
        if name_in(origin) == name:
            return origin
    except (PresetError, ValueError):
        return ""
    if not origin.startswith("file:") or origin.endswith(".safetensors"):
        return ""
    # A local folder has its name from its preset.yaml, which its address alone does not tell.
    from urllib.request import url2pathname  # which brings HTTP, and listing does without

    return url2pathname(urllib.parse.urlsplit(origin).path)
