"""The identity of a run elsewhere, kept in the run folder so that a resumed run goes on in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hvae_core.files.replacing import replace_file


def remembered(path: Path, make: Callable[[], str]) -> str:
    """What ``path`` holds; or what ``make`` gives, which is then written there.

    Args:
        path: a text file in the run folder.
        make: a new identity.
    """
    if path.is_file() and (text := path.read_text(encoding="utf-8").strip()):
        return text
    identity = make()
    replace_file(path, f"{identity}\n")
    return identity
