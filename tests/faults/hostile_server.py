"""A server on the loopback interface that misbehaves on demand: a tool for tests.

    with HostileServer({"/file": content}) as server:
        server.faults["/file"] = trickle
        ... server.url ...

It writes bytes to sockets, since no library lets one say all that is wrong. `WAYS` names every way
to misbehave, what is to be said of it, and whether it is tried on weights or on a preset.yaml.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import threading
import time
from collections.abc import Callable

#: an ESC sequence that would clear the terminal, and one that sets its title
ESCAPES = b"\x1b[2J\x1b]0;owned\x07\x9b31m"


class Connection:
    """One request, and what is written in answer."""

    def __init__(self, server: HostileServer, connection: socket.socket, head: bytes) -> None:
        self.server, self.socket = server, connection
        line, _, rest = head.partition(b"\r\n")
        self.path = line.split(b" ")[1].decode("latin-1")
        asked = re.search(rb"^Range: bytes=(\d+)-", rest, re.MULTILINE | re.IGNORECASE)
        self.start = int(asked[1]) if asked else 0

    def send(self, data: bytes) -> None:
        """Write bytes."""
        self.socket.sendall(data)

    def head(self, status: str = "200 OK", *headers: str) -> None:
        """Write the beginning of an answer."""
        lines = [f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def give(self, content: bytes) -> None:
        """The content as a good server does, from where Range asks."""
        length = f"Content-Length: {len(content) - self.start}"
        if self.start:
            place = f"Content-Range: bytes {self.start}-{len(content) - 1}/{len(content)}"
            self.head("206 Partial Content", length, place)
        else:
            self.head("200 OK", length)
        self.send(content[self.start :])

    def wait(self, seconds: float = 30.0) -> None:
        """Say nothing for a while."""
        self.server.released.wait(seconds)


Fault = Callable[[Connection, bytes], None]


class HostileServer:
    """Serves `files`, by `faults` where there is one for the path."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: dict[str, Fault] = {}
        self.requests: list[str] = []
        #: from where on each was asked for
        self.starts: list[int] = []
        self.released = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> HostileServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                data = connection.recv(65536)
                if not data:
                    return
                head += data
            request = Connection(self, connection, head)
            self.requests.append(request.path)
            self.starts.append(request.start)
            content = self.files.get(request.path)
            fault = self.faults.get(request.path)
            if fault is not None:
                fault(request, content or b"")
            elif content is None:
                request.head("404 Not Found", "Content-Length: 0")
            else:
                request.give(content)


# --- ways to misbehave


def endlessly(data: bytes, pause: float = 0.0, head: tuple[str, ...] | None = ("200 OK",)) -> Fault:
    """Write ``data`` again and again, with a pause between."""

    def serve(request: Connection, _: bytes) -> None:
        if head is not None:
            request.head(*head)
        while not request.server.released.is_set():
            request.send(data)
            if pause:
                time.sleep(pause)

    return serve


def answer(status: str, *headers: str, body: bytes = b"") -> Fault:
    """One answer, whatever is asked."""

    def serve(request: Connection, _: bytes) -> None:
        request.head(status, *headers)
        request.send(body)

    return serve


def raw(data: bytes) -> Fault:
    """These bytes, which need not be an answer."""
    return lambda request, _: request.send(data)


def leads_to(url: str, body: bytes = b"") -> Fault:
    """A redirect."""
    return answer("302 Found", f"Location: {url}", f"Content-Length: {len(body)}", body=body)


def cut(request: Connection, content: bytes) -> None:
    """The connection ends after a few bytes."""
    request.head("200 OK", f"Content-Length: {len(content)}")
    request.send(content[:100])


def silent(request: Connection, content: bytes) -> None:
    """Nothing comes after a few bytes."""
    cut(request, content)
    request.wait()


def trickle(request: Connection, content: bytes) -> None:
    """A byte now and then, of an answer that is fine but for that."""
    request.head("200 OK", f"Content-Length: {len(content)}")
    for index in range(len(content)):
        if request.server.released.wait(0.05):
            return
        request.send(content[index : index + 1])


def morsels(request: Connection, content: bytes) -> None:
    """A byte in each of many answers."""
    length = len(content) - request.start
    place = f"Content-Range: bytes {request.start}-{len(content) - 1}/{len(content)}"
    partial = ("206 Partial Content", place) if request.start else ("200 OK",)
    request.head(*partial, f"Content-Length: {length}")
    request.send(content[request.start : request.start + 1])


def as_long_as(change: int) -> Fault:
    """The right content, with another length than promised."""

    def serve(request: Connection, content: bytes) -> None:
        content = content[:change] if change < 0 else content + bytes(change)
        request.head("200 OK", f"Content-Length: {len(content)}")
        request.send(content)

    return serve


def corrupt(request: Connection, content: bytes) -> None:
    """One byte is another one."""
    request.head("200 OK", f"Content-Length: {len(content)}")
    request.send(content[:-1] + bytes([content[-1] ^ 1]))


def pointer(request: Connection, _: bytes) -> None:
    """A git-lfs pointer in place of the file."""
    body = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
    request.head("200 OK", f"Content-Length: {len(body)}")
    request.send(body)


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to misbehave, and the words it deserves."""

    name: str
    says: str
    fault: Fault
    #: "weights" or "preset": what it is tried on
    on: str = "weights"


CHUNKED = ("200 OK", "Transfer-Encoding: chunked")
WAYS = [
    Way("cut", "ended after 100 of", cut),
    Way("silent", "no answer in time|ended after", silent),
    Way("trickle", "comes too slowly", trickle),
    Way("morsels", "ended after", morsels),
    Way("trickled head", "no answer in time", endlessly(b"X", 0.05, None)),
    Way("trickled headers", "no answer in time",
        lambda request, _: endlessly(b"X-A: b\r\n", 0.03, None)(
            request, request.send(b"HTTP/1.1 200 OK\r\n") or b"")),
    Way("endless continuing", "no answer in time|headers",
        endlessly(b"HTTP/1.1 100 Continue\r\n\r\n", 0.0, None)),
    Way("endless header", "header line|status line", endlessly(b"X" * 65536, 0.0, None)),
    Way("too many headers", "headers", answer("200 OK", *(f"X-{i}: x" for i in range(500)))),
    Way("short", "has .* bytes, expected", as_long_as(-1)),
    Way("long", "has .* bytes, expected", as_long_as(1)),
    Way("corrupt", "its sha256 is", corrupt),
    Way("git-lfs pointer", "git-lfs pointer", pointer),
    Way("endless", "goes on after", endlessly(b"x" * 65536)),
    Way("endless in chunks", "goes on after",
        endlessly(b"10000\r\n" + b"x" * 65536 + b"\r\n", 0.0, CHUNKED)),
    Way("endless chunk", "goes on after", endlessly(b"f" * 14 + b"\r\n" + b"x" * 65536, 0.0,
                                                       CHUNKED)),
    Way("bad chunk", "Cannot download", answer(*CHUNKED, body=b"zz\r\nxx\r\n")),
    Way("negative chunk", "Cannot download|not the file", answer(*CHUNKED, body=b"-5\r\nx\r\n")),
    Way("negative length", "Cannot download|not the file|has", answer("200 OK",
                                                                "Content-Length: -1")),
    Way("huge length", "has 9+ bytes, expected", answer("200 OK", "Content-Length: " + "9" * 18)),
    Way("length of 5000 digits", "Cannot download|not the file|header",
        answer("200 OK", "Content-Length: " + "9" * 5000)),
    Way("length in superscript", "Cannot download|not the file|has",
        answer("200 OK", "Content-Length: \u00b2")),
    Way("wait in superscript", "answered 503", answer("503 Busy", "Retry-After: \u00b2",
                                                         "Content-Length: 0")),
    Way("wait for ever", "answered 503", answer("503 Busy", "Retry-After: 0",
                                                   "Content-Length: 0")),
    Way("no answer", "Cannot download", raw(b"")),
    Way("garbage", "Cannot download", raw(bytes(range(256)) * 9)),
    Way("bad status", "Cannot download", raw(b"HTTP/1.1 twohundred OK\r\n\r\n")),
    Way("escapes in the reason", "answered 403", raw(b"HTTP/1.1 403 " + ESCAPES + b"\r\n\r\n")),
    Way("long reason", "answered 403", raw(b"HTTP/1.1 403 " + b"x" * 60_000 + b"\r\n\r\n")),
    Way("escapes in the status", "Cannot download", raw(ESCAPES + b"\r\n\r\n")),
    Way("escapes in the ETag", "ended after", lambda request, content: (
        request.head("200 OK", f"Content-Length: {len(content)}",
                     f'ETag: "{ESCAPES.decode("latin-1")}"'), request.send(content[:50]))[0]),
    Way("folded ETag", "ended after", lambda request, content: (
        request.head("200 OK", f"Content-Length: {len(content)}", 'ETag: "a\r\n b"'),
        request.send(content[:50]))[0]),
    Way("another part", "Cannot download|not the file",
        answer("206 Partial Content", "Content-Range: bytes 7-9/9", "Content-Length: 3",
               body=b"xyz")),
    Way("cannot resume", "cannot resume", answer("416 No", "Content-Length: 0")),
    Way("gone, endlessly", "answered 404", endlessly(b"x" * 65536, 0.0, ("404 Not Found",))),
    Way("circle", "answered 302", leads_to("/remote/model.safetensors")),
    Way("endless redirect", "not allowed|answered|leads",
        endlessly(b"x" * 65536, 0.0, ("302 Found", "Location: http://127.0.0.2:1/x"))),
    Way("to a file", "file:.* not allowed", leads_to("file:///etc/passwd")),
    Way("to ftp", "leads to ftp:", leads_to("ftp://127.0.0.1/x")),
    Way("to nowhere", "leads to|leads astray|answered 302", leads_to("javascript:alert(1)")),
    Way("to another loopback", "not encrypted", leads_to("http://127.0.0.2:9/x")),
    Way("to the network, open", "not encrypted", leads_to("http://10.0.0.1/x")),
    Way("to a login", "no well-formed address", leads_to("https://name:secret@h/x")),
    Way("to an escape", "not allowed|astray|leads|well-formed", leads_to(
        "https://h/" + ESCAPES.decode("latin-1"))),
    Way("endless", "goes on after", endlessly(b"# and so on\n" * 5000), "preset"),
    Way("trickle", "comes too slowly", trickle, "preset"),
    Way("not YAML", "not valid YAML", answer("200 OK", body=b"<html>{Log in: ["), "preset"),
    Way("escapes", "not valid YAML", answer("200 OK", body=ESCAPES), "preset"),
    Way("gone", "answered 410", answer("410 Gone " + "\x1b[2J", "Content-Length: 0"), "preset"),
]  # fmt: skip
