"""The digest by which a file is known: of a download, of weights, of a checkpoint's files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

#: the digests of a folder's files, as the program sha256sum writes and checks them
DIGESTS_FILE = "SHA256SUMS"
#: characters: of some thousands of files
_MOST = 1 << 20
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^/\\]+)")


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """The checksum of a file, hexadecimal.

    Args:
        path: the file, which is read in blocks.
        algorithm: ``sha256``, or another that `hashlib` knows.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def write_digests(folder: Path) -> None:
    """Write ``SHA256SUMS`` over the files of a folder; ``sha256sum -c SHA256SUMS`` checks it.

    Raises:
        OSError: a file cannot be read, or this one cannot be written.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name != DIGESTS_FILE)
    lines = (f"{file_digest(folder / name)}  {name}\n" for name in names)
    (folder / DIGESTS_FILE).write_text("".join(lines), encoding="utf-8")


def damaged_file(folder: Path, names: Iterable[str], *, all_listed: bool = False) -> str | None:
    """The first file of a folder that is not what ``SHA256SUMS`` says.

    A folder without that file, which an older version wrote, is taken as it is.

    Args:
        folder: holds the files.
        names: those to look at, all of which must be listed.
        all_listed: look at all others that are listed too.

    Returns:
        The file's name (``SHA256SUMS`` where that is damaged itself), or None: all is well.
    """
    try:
        with (folder / DIGESTS_FILE).open(encoding="utf-8") as file:
            text = file.read(_MOST + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return DIGESTS_FILE
    lines = [_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    digests = {line["name"]: line["digest"] for line in lines if line}
    if len(text) > _MOST or len(digests) < len(lines) or not text.endswith("\n"):
        return DIGESTS_FILE
    for name in sorted({*names, *(digests if all_listed else ())}):
        try:
            if file_digest(folder / name) != digests.get(name):
                return name
        except OSError:
            return name
    return None
