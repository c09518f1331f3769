"""What the page's server answers at all: one gate before everything that gradio serves.

The server runs on the visitor's own machine, where any web page that the visitor opens can send it
requests. So the gate knows by which names the server may be called (a foreign name is DNS
rebinding), from which pages (its own), by which routes (those the page needs), how large a request
may be, and that a file named in it lies in the folder of uploads. What it refuses does not reach
gradio. It is plain ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hvae_core.errors import DataError, one_line
from hvae_core.explore.answers import Answer, App, Message, Receive, RefusalError, Send, refuse
from hvae_core.explore.own_names import own_names
from hvae_core.explore.uploads import MAX_BYTES, own_file

API = "/gradio_api"
FILE = f"{API}/file="
JOIN = f"{API}/queue/join"
UPLOAD = f"{API}/upload"
#: what the page reads
READ = frozenset(
    {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
    | {f"{API}/{name}" for name in ("app_id", "startup-events", "queue/data", "upload_progress")}
)
READ_BELOW = ("/assets/", "/static/", "/svelte/", f"{API}/heartbeat/", FILE)
#: what the page sends as JSON
SENT = frozenset({JOIN, f"{API}/cancel", f"{API}/reset"})

#: of a request in JSON: numbers, names and paths, never an image
MAX_JSON = 1 << 16
#: what a browser writes around an uploaded file
MAX_FRAME = 1 << 16
#: of all uploads and pictures together, on the disk
MAX_TOTAL = 512 << 20
#: seconds without a byte after which a request is given up
PATIENCE = 30.0
#: seconds after which the bytes of an upload that broke off are removed
STALE = 600.0


class Gate:
    """An ASGI application that lets through what the page needs.

    Args:
        app: what is behind it.
        host: the interface that is served, which decides by which names.
        folder: where uploads and pictures are kept; no other file is read.
        total: the most bytes that may lie there before uploads are refused.
    """

    def __init__(self, app: App, host: str, folder: Path, total: int = MAX_TOTAL) -> None:
        self.app = app
        self.folder = folder.resolve()
        self.total = total
        self._is_own = own_names(host)
        self._arriving = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it with a sentence."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        try:
            headers = _headers(scope)
            self._check_caller(headers)
            length = self._check_route(scope, headers)
            if scope["path"] in SENT:
                receive, scope = await self._checked_json(scope, receive, length)
            with self._room_for(length if scope["path"] == UPLOAD else 0):
                await self._served(scope, _patient(receive) if length else receive, send)
        except RefusalError as refusal:
            await refuse(send, refusal)
        return None

    async def _served(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let what is behind the gate answer; a request over which it fails is refused.

        What is asked of a model runs in the queue, where errors are told by the page. So a failure
        here is one of reading a request that the page would not send.
        """
        answer = Answer(send)
        try:
            await self.app(scope, receive, answer.send)
        except Exception as error:
            text = one_line(f"{type(error).__name__}: {error}")[:300]
            logging.getLogger("hvae").warning("A request could not be answered: %s", text)
            answer.failed = True
        if answer.failed and not answer.begun:
            raise RefusalError(400, "The request is not understood.")
        if answer.failed and answer.is_open:
            await send({"type": "http.response.body", "body": b""})

    def _check_caller(self, headers: dict[str, str]) -> None:
        """Refuse a foreign name of this server, and a page that is not its own."""
        host = headers.get("host", "")
        if not self._is_own(host):
            raise RefusalError(421, "This server is not called that.")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            raise RefusalError(403, "Requests of other pages are refused.")
        fetched_by = headers.get("sec-fetch-site", "none")
        is_visit = headers.get("sec-fetch-mode") == "navigate"
        if fetched_by in ("cross-site", "same-site") and not is_visit:
            raise RefusalError(403, "Requests of other pages are refused.")

    def _check_route(self, scope: Message, headers: dict[str, str]) -> int:
        """Refuse what the page does not need; gives the length of the request's body."""
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD"):
            if path.startswith(FILE):
                self._check_file(path.removeprefix(FILE))
            elif path not in READ and not path.startswith(READ_BELOW):
                raise RefusalError(404, "There is nothing here.")
            return 0
        if method != "POST" or (path not in SENT and path != UPLOAD):
            raise RefusalError(404, "There is nothing here.")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != ("multipart/form-data" if path == UPLOAD else "application/json"):
            raise RefusalError(415, "A request of this kind is not understood.")
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise RefusalError(411, "The request does not say how long it is.")
        most = MAX_BYTES + MAX_FRAME if path == UPLOAD else MAX_JSON
        if len(length) > 12 or int(length) > most:
            raise RefusalError(413, f"At most {most:,} bytes are accepted.")
        return int(length)

    async def _checked_json(
        self, scope: Message, receive: Receive, length: int
    ) -> tuple[Receive, Message]:
        """The request with its body read, checked, and written anew.

        Written anew, because two readers of JSON may differ over a key that is given twice.
        """
        body = await _read(receive, length)
        try:
            content = json.loads(body, parse_constant=_number, parse_float=_number)
            files = list(_files_in(content))
            body = json.dumps(content).encode()
        except (ValueError, RecursionError):
            raise RefusalError(400, "The request is not valid JSON.") from None
        for path in files:
            self._check_file(path)
        headers = [pair for pair in scope["headers"] if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again, {**scope, "headers": headers}

    def _check_file(self, path: object) -> None:
        try:
            own_file(path, self.folder)
        except DataError as error:
            raise RefusalError(403, error.message) from None

    @contextlib.contextmanager
    def _room_for(self, length: int) -> Iterator[None]:
        """Refuse an upload for which there is no room, those under way included."""
        if length:
            held = _held(self.folder, clear=not self._arriving)
            if held + self._arriving + length > self.total:
                raise RefusalError(413, "There are too many uploads; try again later.")
        self._arriving += length
        try:
            yield
        finally:
            self._arriving -= length


def _headers(scope: Message) -> dict[str, str]:
    """The headers by name; one that is given twice is refused."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        if name in found and name in ("host", "origin", "content-length", "content-type"):
            raise RefusalError(400, f"The header {name} is given twice.")
        found[name] = value.decode("latin-1").strip()
    return found


def _files_in(content: Any) -> Iterator[Any]:
    """The paths in a request: whatever stands under a key ``path``."""
    if isinstance(content, dict):
        if "path" in content:
            yield content["path"]
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _files_in(part)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _held(folder: Path, clear: bool) -> int:
    """The bytes in the folder; with ``clear``, uploads that broke off long ago are removed."""
    held, now = 0, time.time()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if clear and path.parent == folder and path.is_file() and now > status.st_mtime + STALE:
                path.unlink()
            else:
                held += status.st_size
    return held


async def _read(receive: Receive, length: int) -> bytes:
    body, receive = b"", _patient(receive)
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusalError(400, "The request broke off.")
        body += message.get("body", b"")
        if len(body) > length:
            raise RefusalError(413, f"At most {length:,} bytes are accepted.")
        if not message.get("more_body", False):
            return body


def _patient(receive: Receive) -> Receive:
    """``receive``, which gives a silent sender up while the body is not there yet."""
    whole = False

    async def wait() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), PATIENCE)
        except TimeoutError:
            return {"type": "http.disconnect"}
        whole = not message.get("more_body", False)
        return message

    return wait
