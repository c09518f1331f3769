"""The identity of a run elsewhere, kept in the run folder so that a resumed run goes on in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hvae_core.files.replacing import replace_file


def remembered(
    path: Path, make: Callable[[], str], is_known: Callable[[str], bool] = lambda identity: True
) -> str:
    """What ``path`` holds; or what ``make`` gives, which is then written there.

    Args:
        path: a text file in the run folder.
        make: a new identity.
        is_known: whether there still is a run of this identity; where not, it gets a new one.
    """
    if path.is_file() and (text := path.read_text(encoding="utf-8").strip()) and is_known(text):
        return text
    identity = make()
    replace_file(path, f"{identity}\n")
    return identity
