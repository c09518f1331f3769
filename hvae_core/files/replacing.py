"""Writing a file or a folder whole or not at all.

What is written goes to a hidden name beside the target, is flushed to the disk, and takes the
target's place by one rename: nobody ever finds half of it, and where it fails the older one is as
it was. What fails is an `OSError`; `disk_errors` makes a sentence of it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from hvae_core.errors import BadInputError, HvaeError
from hvae_core.files.paths import check_replaceable, is_too_long, with_a_name

#: the name of what gave way to a newer folder, or was being removed, when its process was killed
LEFTOVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]+\.old")
_HIDDEN = re.compile(r"\..+\.[0-9a-f]{8}\.(tmp|old)")


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, flush: bool = True) -> Iterator[Path]:
    """A hidden name beside ``path``, for a file that takes its place if the block succeeds.

    Args:
        path: the file; its folder is made, an older file is replaced.
        flush: wait until it is on the disk, so that it survives a power cut. Off for what is
            easily made again, such as pictures.

    Raises:
        OSError: it cannot be written, or is a folder; an older file is as it was.
    """
    path = Path(path)
    if path.is_dir() and not path.is_symlink():  # told before what takes long is written
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, "tmp")
    try:
        with _naming(path, temporary):
            temporary.touch()
            plain = temporary.stat().st_mode
            yield temporary
            # A library may have replaced the file by one that only its owner may read.
            if temporary.stat().st_mode != plain:
                temporary.chmod(plain & 0o7777)
            move_into_place(temporary, path, flush=flush)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def replace_file(path: str | os.PathLike[str], content: bytes | str, *, flush: bool = True) -> Path:
    """Write ``content`` to a file, text as UTF-8; arguments and errors as in `replacing`.

    Returns:
        The file's path.
    """
    with replacing(path, flush=flush) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)


def move_into_place(finished: Path, target: Path, *, flush: bool = True) -> None:
    """Rename a finished file to ``target``, replacing an older one.

    Raises:
        OSError: it cannot be flushed or renamed; the older file is as it was.
    """
    if flush:
        flush_file(finished)
    os.replace(finished, target)
    if flush:
        flush_folder(target.parent)


@contextlib.contextmanager
def replacing_folder(target: str | os.PathLike[str], *, flush: bool = True) -> Iterator[Path]:
    """An empty hidden folder beside ``target``, which takes its place if the block succeeds.

    Args:
        target: the folder; those above it are made, an older one gives way.
        flush: see `replacing`.

    Raises:
        OSError: it cannot be written; an older folder is as it was.
        BadInputError: it is a folder whose place none can take, see `check_replaceable`.
    """
    target = with_a_name(check_replaceable(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    work = _beside(target, "tmp")
    try:
        with _naming(target, work):
            work.mkdir()
            yield work
            if flush:
                _flush_all(work)
            swap_in(work, target)
            if flush:
                flush_folder(target.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def swap_in(finished: Path, target: Path) -> None:
    """Rename the folder ``finished`` to ``target``; an older ``target`` gives way and is removed.

    Where the system can let two names change places (Linux, macOS), ``target`` is there at every
    moment; elsewhere there is one between two renames at which it is not.

    Raises:
        OSError: it cannot be renamed; the older ``target`` is as it was.
    """
    if not os.path.lexists(target):
        os.replace(finished, target)
        return
    old = _beside(target, "old")
    if _exchange(finished, target):
        os.replace(finished, old)
    else:
        os.replace(target, old)
        try:
            os.replace(finished, target)
        except OSError:
            os.replace(old, target)
            raise
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink()


def remove_folder(folder: Path) -> None:
    """Remove a folder, out of sight by one rename first, so that no half of it is ever found.

    Raises:
        OSError: it cannot be removed.
    """
    if folder.is_symlink():
        folder.unlink()
        return
    hidden = _beside(folder, "old")
    os.replace(folder, hidden)
    shutil.rmtree(hidden)


def is_leftover(path: Path) -> bool:
    """Whether the name is one that a killed process leaves behind: never the target's own."""
    return _HIDDEN.fullmatch(path.name) is not None


def remove_leftovers(folder: Path, of: Collection[str] | None = None) -> None:
    """Remove what killed processes left in a folder; only while no other process writes there.

    Args:
        folder: the folder.
        of: the names whose leftovers are removed, of which no other process writes one; None: all.
    """
    mine = None if of is None else tuple(f".{name}." for name in of)
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if is_leftover(path)]
        for path in [path for path in found if mine is None or path.name.startswith(mine)]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power cut, where the platform can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def disk_errors(
    action: str,
    hint: str = "Make room or choose another folder.",
    kind: type[HvaeError] = HvaeError,
) -> Iterator[None]:
    """Full disks and refused permissions as one sentence.

    Args:
        action: what was tried, such as ``write model.safetensors``.
        hint: how to mend it.
        kind: of the error.

    Raises:
        HvaeError: of this kind, "Cannot <action>: <what the system says>."
        BadInputError: a name is too long, which no room would help.
    """
    try:
        yield
    except OSError as error:
        said = f"Cannot {action}: {error.strerror or error}"
        if is_too_long(error):
            kind = kind if issubclass(kind, BadInputError) else BadInputError
            name = str(error.filename or "")
            at = "" if name in action else f": {name}"
            raise kind(f"{said}{at}.", "Choose a shorter name.") from error
        raise kind(f"{said}.", hint) from error


def _exchange(first: Path, second: Path) -> bool:
    """Let two names change places in one step; False where the system or the disk cannot."""
    call = _exchange_call()
    return call is not None and call(os.fsencode(first), os.fsencode(second)) == 0


@functools.cache
def _exchange_call() -> Callable[[bytes, bytes], int] | None:
    import ctypes

    here, swap = -100, 2  # AT_FDCWD; RENAME_EXCHANGE and RENAME_SWAP
    try:
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            renamex_np = library.renamex_np
            return lambda first, second: int(renamex_np(first, second, swap))
        renameat2 = library.renameat2
    except (AttributeError, OSError, TypeError):
        return None
    return lambda first, second: int(renameat2(here, first, here, second, swap))


def _beside(path: Path, suffix: str) -> Path:
    """A hidden name that no other process or thread has."""
    return path.with_name(f".{path.name.lstrip('.')}.{secrets.token_hex(4)}.{suffix}")


@contextlib.contextmanager
def _naming(target: Path, temporary: Path) -> Iterator[None]:
    """An `OSError` names the target, not the hidden name, nor nothing as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(target)
        raise


def _flush_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            flush_folder(path)
        elif path.is_file() and not path.is_symlink():
            flush_file(path)
    flush_folder(folder)


def flush_file(path: Path) -> None:
    """Wait until a file is on the disk, so that it survives a power cut.

    Raises:
        OSError: it cannot be written.
    """
    # Windows flushes what is open for writing only; elsewhere a copied file may be read-only.
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
