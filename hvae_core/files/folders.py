"""Putting a finished folder in its place, all at once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def swap_in(finished: Path, target: Path) -> None:
    """Rename ``finished`` to ``target``; an older ``target`` gives way and is then removed.

    Raises:
        OSError: it cannot be renamed; the older ``target`` is as it was.
    """
    if not os.path.lexists(target):
        os.replace(finished, target)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    os.replace(target, old)
    try:
        os.replace(finished, target)
    except OSError:
        os.replace(old, target)
        raise
    if old.is_symlink():
        old.unlink()
    else:
        shutil.rmtree(old, ignore_errors=True)
