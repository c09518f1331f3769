"""One transfer: requests, resumption, retries, verification, and the rename at the end.

`hvae_core.fetching.download.fetch` is the way in.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import math
import os
import shutil
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hvae_core.errors import DownloadError, SlowDownloadError
from hvae_core.fetching.connections import open_url
from hvae_core.files import git_lfs, replacing
from hvae_core.files.digests import file_digest
from hvae_core.files.json_files import read_object

Progress = Callable[[int, int | None], None]

CHUNK = 1 << 18
#: seconds before the first retry; doubled each time, at most a minute
BACKOFF = 0.5
#: seconds over which the rate is measured
WINDOW = 60.0
#: the most bytes of a file whose length nobody tells
UNANNOUNCED = 4 << 30
#: answers that may be others soon, beside all that tell of a fault of the server, 500 and above
_TRANSIENT = {408, 425, 429}
#: answers that the file is there no more
_GONE = {404, 410}


class MissingFileError(DownloadError):
    """The server, or the disk for ``file:``, answers that there is no such file."""


class _InterruptedTransferError(Exception):
    """The transfer broke off in a way that a retry may mend."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a server is waited for."""

    #: seconds without a byte after which a connection counts as cut
    timeout: float = 30.0
    #: bytes a second, over `WINDOW` seconds, below which a server is given up; 0: never
    least_rate: float = 1000.0
    #: seconds that one file may take in all
    total: float = 86_400.0
    #: attempts in a row that may bring nothing new, or less than the least rate asks for
    retries: int = 4


class Pace:
    """How fast a file comes, against the least rate.

    Args:
        source: where it comes from, for the message.
        patience: what is asked for.
        done: the bytes that are here already.
    """

    def __init__(self, source: str, patience: Patience, done: int = 0) -> None:
        self._source, self._least = source, patience.least_rate
        self._since, self._begun = time.monotonic(), done

    def check(self, done: int) -> None:
        """Give a server up that has been too slow over the last `WINDOW` seconds.

        Args:
            done: the bytes that are here now.

        Raises:
            DownloadError: it has.
        """
        now, come = time.monotonic(), done - self._begun
        if now < self._since + WINDOW:
            return
        if come < self._least * WINDOW:
            raise SlowDownloadError(
                f"{self._source} comes too slowly: {come} bytes in {now - self._since:.0f} "
                "seconds.",
                "What has arrived is kept; run the command again to go on from there.",
            )
        self._since, self._begun = now, done


@dataclasses.dataclass(frozen=True)
class Promise:
    """What the file is expected to be."""

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    #: the most bytes it may have, where its size is not known
    limit: int | None = None

    @property
    def most(self) -> int | None:
        """The most bytes to accept."""
        return self.limit if self.size is None else self.size

    @property
    def identifies(self) -> bool:
        """Whether a wrong content would be noticed, whatever its length."""
        return bool(self.sha256 or self.md5)

    def broken_by_length(self, length: int) -> str | None:
        """What is wrong with a file of ``length`` bytes, or None."""
        if self.size is not None and length != self.size:
            return f"it has {length} bytes, expected {self.size}"
        if self.limit is not None and length > self.limit:
            return f"it has {length} bytes, expected at most {self.limit}"
        return None

    def broken_by(self, path: Path) -> str | None:
        """What is wrong with the file at ``path``, or None."""
        if fault := self.broken_by_length(path.stat().st_size):
            return git_lfs.FAULT if git_lfs.is_pointer(path) else fault
        for algorithm, expected in (("sha256", self.sha256), ("md5", self.md5)):
            if expected and (actual := file_digest(path, algorithm)) != expected.lower():
                return f"its {algorithm} is {actual}, expected {expected.lower()}"
        return None


@dataclasses.dataclass
class Transfer:
    """A file on its way from ``url`` to ``target``."""

    url: str
    target: Path
    promise: Promise
    progress: Progress | None
    patience: Patience
    _until: float = dataclasses.field(default=math.inf, init=False)

    @property
    def part(self) -> Path:
        """What has come so far."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        """Beside the part: which URL and which version of the file it was begun from."""
        return self.target.with_name(f"{self.target.name}.part.json")

    def run(self) -> None:
        """Transfer, retrying, then verify and rename."""
        self._until = time.monotonic() + self.patience.total
        if not self._is_whole():
            self._fetch()
        with disk_errors(self.target):
            replacing.move_into_place(self.part, self.target)
            self.note.unlink(missing_ok=True)

    def _fetch(self) -> None:
        """Transfer, retrying, and verify."""
        resumed = self._done() > 0
        self._transfer_with_retries()
        fault = self.promise.broken_by(self.part)
        if fault and resumed:  # the beginning may have come from an older version of the file
            self._discard()
            self._transfer_with_retries()
            fault = self.promise.broken_by(self.part)
        if fault:
            self._discard()
            raise DownloadError(
                f"{self.url} is not the file that was promised: {fault}.",
                "Try again later, or fetch it from another source.",
            )

    def _transfer_with_retries(self) -> None:
        fruitless, furthest, begun = 0, self._done(), time.monotonic()
        while True:
            try:
                return self._transfer(self._done())
            except _InterruptedTransferError as error:
                # Against the furthest ever, so that beginning anew for ever does not count, and by
                # the least rate, so that a byte in each of many answers does not.
                expected = self.patience.least_rate * max(0.0, time.monotonic() - begun)
                fruitless = 0 if self._done() > furthest + expected else fruitless + 1
                begun = time.monotonic() + error.wait
                furthest = max(furthest, self._done())
                self._check_time()
                if fruitless > self.patience.retries:
                    raise DownloadError(
                        f"Cannot download {self.url}: {error}.",
                        "What has arrived is kept; run the command again to go on from there.",
                    ) from error
                time.sleep(max(error.wait, min(BACKOFF * 2**fruitless, 60.0)))

    def _transfer(self, begun: int) -> None:
        """One request: append to the part, or begin it anew where the server cannot resume."""
        response = self._open(begun)
        with contextlib.closing(response):
            headers = response.headers
            start = _range_start(headers) if getattr(response, "status", None) == 206 else 0
            if start not in (0, begun):
                self._discard()
                raise _InterruptedTransferError("the server sent another part than was asked for")
            length = _number(headers.get("Content-Length"))
            total = self.promise.size if length is None else start + length
            if total is not None and (fault := self.promise.broken_by_length(total)):
                self._discard()
                if total < git_lfs.MAX_BYTES and response.read1(99).startswith(git_lfs.BEGINNING):
                    fault = git_lfs.FAULT
                raise DownloadError(f"{self.url} is not the file that was promised: {fault}.")
            self._check_room(start, total)
            with disk_errors(self.target):
                note = json.dumps({"url": self.url, "version": _version(headers)})
                replacing.replace_file(self.note, note, flush=False)
                file = self._open_part(start)
            try:
                done = self._copy(response, file, start, total)
                with disk_errors(self.target):
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                with disk_errors(self.target):
                    file.close()
        if done > (most := self._most(total)):
            self._discard()
            raise DownloadError(f"{self.url} goes on after the {most} bytes expected of it.")
        if total is not None and done < total:
            raise _InterruptedTransferError(f"the connection ended after {done} of {total} bytes")

    def _copy(
        self, response: http.client.HTTPResponse, file: BinaryIO, done: int, total: int | None
    ) -> int:
        limit, pace = self._most(total), Pace(self.url, self.patience, done)
        while True:
            if self.progress:
                self.progress(done, total)
            self._check_time()
            pace.check(done)
            try:
                block = response.read1(CHUNK)  # what has come, so that a cut loses nothing
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise _InterruptedTransferError(_reason(error)) from error
            if not block:
                return done
            done += len(block)
            if done > limit:
                return done
            with disk_errors(self.target):
                file.write(block)

    def _open(self, begun: int) -> http.client.HTTPResponse:
        if self.url.startswith("file:"):
            _check_regular(self.url)
        request = urllib.request.Request(
            self.url, headers={"User-Agent": "hvae", "Accept-Encoding": "identity"}
        )
        if begun:
            request.add_header("Range", f"bytes={begun}-")
            if version := self._noted_version():
                request.add_header("If-Range", version)
        try:
            return open_url(request, timeout=self.patience.timeout)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:
                self._discard()
                raise _InterruptedTransferError("the server cannot resume") from error
            if error.code in _TRANSIENT or error.code >= 500:
                wait = min(_number(error.headers.get("Retry-After")) or 0, 60)
                raise _InterruptedTransferError(_answer(error), wait) from error
            told = f"Cannot download {self.url}: {_answer(error)}."
            if error.code in _GONE:
                self._discard()
                raise MissingFileError(told) from error
            hint = "What has arrived is kept; run the command again to go on from there."
            raise DownloadError(told, hint if begun else "") from error
        except (http.client.InvalidURL, ValueError) as error:
            raise DownloadError(f"{self.url!r} is no well-formed address.") from error
        except (OSError, http.client.HTTPException) as error:
            inner = error.reason if isinstance(error, urllib.error.URLError) else error
            if self.url.startswith("file:"):
                raise MissingFileError(f"Cannot read {self.url}: {_reason(inner)}.") from error
            raise _InterruptedTransferError(_reason(inner)) from error

    def _is_whole(self) -> bool:
        """Whether the part is all of the file, as of a call that ended while it was checked."""
        try:
            found = self.part.lstat()
        except OSError:
            return False
        if not _is_ours(found):
            return False
        known = self.promise.identifies and found.st_size == self.promise.size
        return known and self.promise.broken_by(self.part) is None

    def _done(self) -> int:
        """Bytes of the part that may be resumed; a part nothing is known of is dropped."""
        try:
            found = self.part.lstat()
        except OSError:
            return 0
        length = found.st_size
        if not _is_ours(found):
            self._discard()  # somebody else's file, whose name was put here
            return 0
        if self.url.startswith("file:") or not (self.promise.identifies or self._noted_version()):
            self._discard()
            return 0
        if self.promise.size is not None and length >= self.promise.size:
            self._discard()  # it is not the file; to ask for what follows it would be an error
            return 0
        return length

    def _noted_version(self) -> str | None:
        try:
            note = read_object(self.note, DownloadError)
        except DownloadError:
            return None
        return str(note.get("version") or "") or None if note.get("url") == self.url else None

    def _open_part(self, start: int) -> BinaryIO:
        """The part, ready to be written from ``start`` on; no link is followed."""
        flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        if not start:
            self.part.unlink(missing_ok=True)
            flags |= os.O_CREAT | os.O_EXCL
        file = os.fdopen(os.open(self.part, flags, 0o666), "r+b")
        file.seek(start)
        file.truncate()
        return file

    def _most(self, total: int | None) -> int:
        """The most bytes to accept: what was promised, or else announced, or else a bound."""
        most = total if self.promise.most is None else self.promise.most
        return UNANNOUNCED if most is None else most

    def _check_room(self, start: int, total: int | None) -> None:
        """Refuse what the disk has no room for before it is full."""
        with disk_errors(self.target):
            room = shutil.disk_usage(self.target.parent).free
        if total is not None and total - start > room:
            raise DownloadError(
                f"{self.url} has {total:,} bytes, and there is room for {room:,} at {self.target}.",
                "Make room or choose another folder; HVAE_HOME sets where downloads go.",
            )

    def _check_time(self) -> None:
        if time.monotonic() > self._until:
            raise SlowDownloadError(
                f"{self.url} takes longer than {self.patience.total:.0f} seconds.",
                "What has arrived is kept; run the command again to go on from there.",
            )

    def _discard(self) -> None:
        with disk_errors(self.target):
            self.part.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)


def disk_errors(target: Path) -> contextlib.AbstractContextManager[None]:
    """Full disks and refused permissions as one `DownloadError`."""
    return replacing.disk_errors(
        f"write {target}",
        "Make room or choose another folder; HVAE_HOME sets where downloads go.",
        DownloadError,
    )


def _version(headers: http.client.HTTPMessage) -> str | None:
    """What ``If-Range`` accepts: a strong ETag, else the modification date."""
    etag, date = (str(headers.get(name, "")) for name in ("ETag", "Last-Modified"))
    version = date if not etag or etag.startswith("W/") else etag
    return version if version.isprintable() and 0 < len(version) < 200 else None


def _range_start(headers: http.client.HTTPMessage) -> int:
    """The first byte that a 206 answer holds, -1 where it does not say."""
    start = headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    found = _number(start)
    return -1 if found is None else found


def _number(text: str | None) -> int | None:
    """A number that a header gives; None where it gives none."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _check_regular(url: str) -> None:
    """Refuse a pipe or a device, which may never end."""
    path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
    if path.exists() and not path.is_file():
        raise DownloadError(f"Cannot read {url}: it is no regular file.")


def _answer(error: urllib.error.HTTPError) -> str:
    return f"the server answered {error.code} {str(error.reason).partition(chr(10))[0]}".rstrip(
        ". "
    )


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _is_ours(found: os.stat_result) -> bool:
    """Whether a part is a file of its own, and no link to somebody else's."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
