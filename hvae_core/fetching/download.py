"""Bringing one file to this machine: resumable, verified, and either whole or not there.

The bytes go to ``<target>.part``. A cut connection is resumed with ``Range`` and ``If-Range`` where
the server can, length and checksums are verified, and only then is the file given its name.
"""

from __future__ import annotations

import urllib.parse
from pathlib import Path

from hvae_core.errors import BadInputError, DownloadError
from hvae_core.fetching.transfer import (
    MissingFileError,
    Patience,
    Progress,
    Promise,
    Transfer,
    disk_errors,
)
from hvae_core.files.digests import file_digest
from hvae_core.files.locks import lock_of
from hvae_core.files.places import offline

__all__ = ["AddressError", "MissingFileError", "Progress", "fetch", "file_digest"]

SCHEMES = ("https", "http", "file")


class AddressError(DownloadError):
    """An address that no file can be at, which is the user's to mend (exit code 2)."""

    exit_code = BadInputError.exit_code


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
    retries: int = 4,
    least_rate: float = 1000.0,
    total_time: float = 86_400.0,
) -> Path:
    """Download ``url`` to ``target``, unless it is there already.

    An existing ``target`` is kept if it agrees with the size and checksums that are given, and
    replaced if it does not. A second process fetching the same target waits for the first.

    Args:
        url: an https, http or file URL.
        target: where the file goes; missing parent folders are made.
        sha256: expected checksum, hexadecimal.
        md5: expected checksum, hexadecimal, where a publisher gives no better one.
        size: expected length in bytes.
        limit: the most bytes it may have, where the length is not known.
        progress: called with the bytes done so far and the total, or None where it is unknown.
        timeout: seconds without an answer after which the connection counts as cut.
        retries: attempts in a row that may bring nothing new before it is given up.
        least_rate: bytes a second, over a minute, below which the server is given up; 0: never.
        total_time: seconds that it may take in all.

    Returns:
        ``target``.

    Raises:
        AddressError: ``url`` is no address of such a file.
        DownloadError: it could not be had, or is not what was promised; ``target`` is untouched.
        MissingFileError: there is no such file.
    """
    scheme = _scheme(url)
    target = Path(target)
    promise = Promise(sha256, md5, size, limit)
    if target.is_file() and promise.broken_by(target) is None:
        return target
    if scheme != "file" and offline():
        raise DownloadError(
            f"{url} is needed, but HVAE_OFFLINE=1 forbids the network.",
            f"Unset HVAE_OFFLINE, or put the file at {target}",
        )
    patience = Patience(timeout, least_rate, total_time, retries if scheme != "file" else 0)
    job = Transfer(url, target, promise, progress, patience)
    with disk_errors(target):
        lock = lock_of(target)
        lock.acquire()
    try:
        if not target.is_file() or promise.broken_by(target) is not None:
            job.run()
    finally:
        lock.release()
    return target


def _scheme(url: str) -> str:
    """The scheme of an address that a file can be at.

    Raises:
        AddressError: it is none.
    """
    hint = "Correct it where it is named, such as data.url=https://example.org/files."
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise AddressError(
            f"Cannot download {url!r}: it is no well-formed address ({error}).", hint
        ) from error
    if parts.scheme not in SCHEMES:
        raise AddressError(
            f"Cannot download {url!r}: the address must begin with https://, http:// or file://.",
            hint,
        )
    if parts.scheme != "file" and not parts.hostname:
        raise AddressError(f"Cannot download {url!r}: the address names no server.", hint)
    return parts.scheme
