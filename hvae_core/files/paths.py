"""Paths as a user gives them: ``~``, names longer than the system allows, links that go round."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from hvae_core.errors import BadInputError, HvaeError


def expand_home(
    path: str | os.PathLike[str], kind: type[HvaeError] = BadInputError, where: str = ""
) -> Path:
    """The path with the home folder in the place of ``~`` or ``~user`` at its beginning.

    Args:
        path: as it was given; ``./~`` stands for itself.
        kind: of the error.
        where: what gave it, for the message, such as ``HVAE_HOME``.

    Raises:
        HvaeError: of this kind; there is no such user, or no home folder is known.
    """
    if not os.fspath(path).startswith("~"):  # a Path of ./~ has no ./ any more
        return Path(path)
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        first = Path(path).parts[0]
        told = "no home folder is known" if first == "~" else f"there is no user {first[1:]!r}"
        raise kind(
            f"{where + ': the' if where else 'The'} path {str(path)!r} begins with {first!r}, but "
            f"{told} on this machine.",
            f"Write the path in full; a folder that is named so is ./{first}",
        ) from error


def is_too_long(error: OSError) -> bool:
    """Whether the system refuses a name, or a path, for its length."""
    return error.errno == errno.ENAMETOOLONG


def check_length(path: Path, where: str) -> Path:
    """The path, if a file there could have it.

    Raises:
        BadInputError: it, or a name in it, is longer than the system allows.
    """
    try:
        os.lstat(path)
    except OSError as error:
        if is_too_long(error):
            raise BadInputError(
                f"{where}: the path {str(path)!r} is longer than the system allows.",
                "Choose a shorter one.",
            ) from error
    return path


def check_replaceable(path: str | os.PathLike[str]) -> Path:
    """The path, if a new folder can take its place by a rename.

    Raises:
        BadInputError: it is the current folder or one above it, or a disk of its own.
    """
    named, told = with_a_name(Path(path)), ""
    try:
        here, real = Path.cwd(), Path(os.path.realpath(named.parent)) / named.name
    except FileNotFoundError:  # the current folder is gone
        return Path(path)
    if real == here:
        told = "it is the current folder"
    elif here.is_relative_to(real):
        told = "the current folder lies in it"
    elif os.path.ismount(real):
        told = "a disk is mounted there"
    if told:
        raise BadInputError(
            f"A new folder cannot take the place of {path}: {told}.",
            f"Name one that is not there yet, such as {Path(path) / 'NAME'}",
        )
    return Path(path)


def with_a_name(path: Path) -> Path:
    """The path with a name at its end, where ``.`` and ``..`` have none; the root has none at all.

    Raises:
        FileNotFoundError: it is relative to the current folder, which is gone.
    """
    return path if path.name not in ("", "..") else Path(os.path.realpath(path))


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there; at a path that is too long there is nothing.

    Raises:
        OSError: that cannot be found out, such as in a folder that may not be entered.
    """
    return _asked(Path.is_file, path)


def is_keras_file(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a whole model in one file, as Keras writes it."""
    return Path(path).suffix == ".keras"


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is there; as `is_file`."""
    return _asked(Path.is_dir, path)


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether anything is there; as `is_file`."""
    return _asked(Path.exists, path)


def real_name(path: str | os.PathLike[str]) -> str:
    """The last name of the path that a path leads to, also of ``.``, a link or one in a circle."""
    return os.path.basename(os.path.realpath(path))


def _asked(question: Callable[[Path], bool], path: str | os.PathLike[str]) -> bool:
    try:
        return question(Path(path))
    except OSError as error:
        if not is_too_long(error):
            raise
        return False
