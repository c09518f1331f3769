"""`fetch` against a real HTTP server on the loopback interface that misbehaves on demand."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import json
import math
import os
import threading
import time
import types
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage as Message
from pathlib import Path

import pytest

from hvae_core.errors import DownloadError
from hvae_core.fetching import connections, transfer
from hvae_core.fetching.download import MissingFileError, fetch

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.content` with the faults the test sets."""

    server: Server

    def do_GET(self) -> None:
        server = self.server
        begun = self.headers.get("Range", "")
        server.requests.append((begun, self.headers.get("If-Range", "")))
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        if self.path != "/file":
            self.send_error(404)
            return
        start = 0
        version = self.headers.get("If-Range")
        if begun and server.resumable and version in (None, server.etag):
            start = int(begun.removeprefix("bytes=").rstrip("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            end = len(server.content)
            shown = start if server.wrong_start is None else server.wrong_start
            self.send_header("Content-Range", f"bytes {shown}-{end - 1}/{end}")
        else:
            self.send_response(200)
        body = server.content[start:]
        if server.send_length:
            self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if server.stall_once and cut is not None:
            server.stall_once = False
            server.released.wait(5)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.resumable = True
        self.send_length = True
        self.wrong_start: int | None = None
        self.stall_once = False
        self.released = threading.Event()
        #: bytes after which a connection is cut, one for each request
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.requests: list[tuple[str, str]] = []

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the test."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(transfer, "BACKOFF", 0.001)
    monkeypatch.delenv("HVAE_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_whole_file_arrives_and_progress_is_told(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = fetch(
        server.url,
        tmp_path / "new" / "x",
        sha256=SHA256.upper(),
        md5=MD5,
        size=len(CONTENT),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert target.read_bytes() == CONTENT
    assert names(tmp_path / "new") == {"x"}
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        fetch(server.url, tmp_path / "x", sha256=SHA256)
    assert len(server.requests) == 1
    (tmp_path / "x").write_bytes(b"damaged")
    assert fetch(server.url, tmp_path / "x", sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ['"one"', None])
def test_cut_connections_are_resumed(server: Server, tmp_path: Path, etag: str | None) -> None:
    server.etag = etag
    server.cuts = [300_000, 200_000]
    assert fetch(server.url, tmp_path / "x", sha256=SHA256).read_bytes() == CONTENT
    version = etag or ""
    assert server.requests == [
        ("", ""),
        ("bytes=300000-", version),
        ("bytes=500000-", version),
    ]


def test_without_version_or_checksum_it_begins_anew(server: Server, tmp_path: Path) -> None:
    server.etag, server.cuts = None, [300_000]
    assert fetch(server.url, tmp_path / "x").read_bytes() == CONTENT
    assert server.requests == [("", ""), ("", "")]


def test_a_server_that_ignores_range_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    server.resumable, server.cuts = False, [300_000]
    assert fetch(server.url, tmp_path / "x", sha256=SHA256).read_bytes() == CONTENT
    assert server.requests[1][0] == "bytes=300000-"


def test_a_server_that_sends_another_part_is_not_believed(server: Server, tmp_path: Path) -> None:
    server.cuts, server.wrong_start = [300_000], 17
    assert fetch(server.url, tmp_path / "x").read_bytes() == CONTENT
    assert server.requests[-1] == ("", "")


def test_a_file_that_changed_in_between_is_fetched_whole(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"old" * 1000)
    note = {"url": server.url, "version": '"older"'}
    (tmp_path / "x.part.json").write_text(json.dumps(note))
    assert fetch(server.url, tmp_path / "x").read_bytes() == CONTENT
    assert server.requests == [("bytes=3000-", '"older"')]


def test_a_wrong_beginning_is_noticed_by_the_checksum(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"old" * 1000)
    assert fetch(server.url, tmp_path / "x", sha256=SHA256).read_bytes() == CONTENT
    assert [request[0] for request in server.requests] == ["bytes=3000-", ""]


def test_an_interrupted_call_goes_on_in_the_next(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000]
    with pytest.raises(DownloadError, match="ended after 100000 of 1024000 bytes"):
        fetch(server.url, tmp_path / "x", sha256=SHA256, retries=-1)
    assert (tmp_path / "x.part").stat().st_size == 100_000
    assert not (tmp_path / "x").exists()
    assert fetch(server.url, tmp_path / "x", sha256=SHA256).read_bytes() == CONTENT
    assert server.requests[-1][0] == "bytes=100000-"


def test_a_silent_server_counts_as_cut(server: Server, tmp_path: Path) -> None:
    server.cuts, server.stall_once = [50_000], True
    assert fetch(server.url, tmp_path / "x", sha256=SHA256, timeout=0.3).read_bytes() == CONTENT
    assert server.requests[1][0] == "bytes=50000-"


def test_an_unknown_length_is_read_to_the_end(server: Server, tmp_path: Path) -> None:
    server.send_length = False
    totals: set[int | None] = set()
    fetch(server.url, tmp_path / "x", sha256=SHA256, progress=lambda _, total: totals.add(total))
    assert totals == {None}


@pytest.mark.parametrize("promise", [{"sha256": "0" * 64}, {"md5": "0" * 32}])
def test_wrong_bytes_leave_nothing(server: Server, tmp_path: Path, promise: dict[str, str]) -> None:
    (tmp_path / "x").write_bytes(b"before")
    with pytest.raises(DownloadError, match=f"{next(iter(promise))} is .*, expected 000"):
        fetch(server.url, tmp_path / "x", **promise)
    assert (tmp_path / "x").read_bytes() == b"before"
    assert names(tmp_path) == {"x"}


@pytest.mark.parametrize("send_length", [True, False])
@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_wrong_length_is_refused(
    server: Server, tmp_path: Path, size: int, send_length: bool
) -> None:
    server.send_length = send_length
    with pytest.raises(DownloadError, match=str(size)):
        fetch(server.url, tmp_path / "x", size=size, retries=1)
    assert not (tmp_path / "x").exists()


def test_a_missing_file_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="404"):
        fetch(server.url + "s", tmp_path / "x")
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert fetch(server.url, tmp_path / "x").read_bytes() == CONTENT
    server.statuses = [500] * 3
    with pytest.raises(DownloadError, match="500") as caught:
        fetch(server.url, tmp_path / "y", retries=2)
    assert caught.value.exit_code == 1
    assert not server.statuses


def test_two_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    server.cuts, server.stall_once = [100_000], True

    def work() -> None:
        fetch(server.url, tmp_path / "x", sha256=SHA256)

    threads = [threading.Thread(target=work) for _ in range(2)]
    threads[0].start()
    while not (tmp_path / "x.part").exists():
        time.sleep(0.01)
    threads[1].start()
    server.released.set()
    for thread in threads:
        thread.join(20)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert [request[0] for request in server.requests] == ["", "bytes=100000-"]


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BACKOFF", 0.001)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    with pytest.raises(DownloadError, match="refused"):
        fetch(f"http://127.0.0.1:{port}/file", tmp_path / "x", retries=1)


def test_offline_refuses_the_network_but_not_the_disk(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    with pytest.raises(DownloadError, match="HVAE_OFFLINE=1"):
        fetch(server.url, tmp_path / "x")
    assert not server.requests
    source = tmp_path / "a file"
    source.write_bytes(CONTENT)
    assert fetch(source.as_uri(), tmp_path / "x", sha256=SHA256).read_bytes() == CONTENT


def test_a_missing_local_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="No such file"):
        fetch((tmp_path / "none").as_uri(), tmp_path / "x")


def test_encryption_does_not_end_on_the_way() -> None:
    request = urllib.request.Request("https://host/file")
    handler = connections.Redirects()

    def follow(url: str) -> urllib.request.Request | None:
        return handler.redirect_request(request, io.BytesIO(), 302, "", Message(), url)

    followed = follow("https://other/file")
    assert followed is not None
    assert followed.full_url == "https://other/file"
    with pytest.raises(DownloadError, match=r"leads to http://host/file, which is not allowed"):
        follow("http://host/file")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        *((url, "must begin with") for url in ("ftp://host/x", "/etc/hosts", "x")),
        *((url, "is no well-formed address") for url in ("http://[", "https://host:port/x")),
        *((url, "names no server") for url in ("http:///x", "https:x")),
    ],
)
def test_other_addresses_are_refused(url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=told) as caught:
        fetch(url, tmp_path / "x")
    assert repr(url) in caught.value.message
    assert caught.value.exit_code == 2
    assert "data.url" in caught.value.hint


def test_a_full_disk_is_one_sentence(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer.os, "fsync", full)
    with pytest.raises(DownloadError, match=r"Cannot write .*No space left on device"):
        fetch(server.url, tmp_path / "x", sha256=SHA256)
    assert not (tmp_path / "x").exists()


def test_a_target_that_cannot_be_written_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="Cannot write"):
        fetch(server.url, tmp_path / "file" / "x")


def test_a_slow_server_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "WINDOW", 1e-9)
    with pytest.raises(DownloadError, match=r"comes too slowly.*go on from there\.$"):
        fetch(server.url, tmp_path / "x", sha256=SHA256, least_rate=math.inf)
    assert (tmp_path / "x.part").exists()
    fetch(server.url, tmp_path / "x", sha256=SHA256, least_rate=0)
    with pytest.raises(DownloadError, match="takes longer than 0 seconds"):
        fetch(server.url, tmp_path / "y", total_time=0)


def test_what_the_disk_has_no_room_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = types.SimpleNamespace(free=1000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: room)
    with pytest.raises(DownloadError, match="has 1,024,000 bytes, and there is room for 1,000"):
        fetch(server.url, tmp_path / "x")
    assert names(tmp_path) == set()


def test_an_unannounced_length_is_bounded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.send_length = False
    monkeypatch.setattr(transfer, "UNANNOUNCED", 1000)
    with pytest.raises(DownloadError, match="goes on after the 1000 bytes"):
        fetch(server.url, tmp_path / "x", sha256=SHA256)
    assert names(tmp_path) == set()


def test_links_are_not_written_through(server: Server, tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "cache"
    folder.mkdir()
    for name in ("x.part", "x.part.json", ".x.lock", "x"):
        for link in (os.symlink, os.link):
            victim.write_text("mine")
            link(victim, folder / name)
            if name == "x.part":
                note = {"url": server.url, "version": '"one"'}
                (folder / "x.part.json").write_text(json.dumps(note))
            assert fetch(server.url, folder / "x", sha256=SHA256).read_bytes() == CONTENT
            assert victim.read_text() == "mine" or name == ".x.lock"
            for path in folder.iterdir():
                path.unlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DownloadError, match="no regular file"):
            fetch(path.as_uri(), tmp_path / "x")


def test_a_file_that_is_gone_leaves_no_part(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000]
    server.statuses = []
    with pytest.raises(DownloadError, match="ended after"):
        fetch(server.url, tmp_path / "x", sha256=SHA256, retries=-1)
    assert "x.part" in names(tmp_path)
    server.statuses = [410]
    with pytest.raises(MissingFileError):
        fetch(server.url, tmp_path / "x", sha256=SHA256)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("status", [401, 403, 451, 501, 507, 509, 520, 522, 524])
def test_a_refusal_on_the_way_keeps_what_has_come(
    server: Server, tmp_path: Path, status: int
) -> None:
    server.cuts = [100_000]
    with pytest.raises(DownloadError, match="ended after"):
        fetch(server.url, tmp_path / "x", sha256=SHA256, retries=-1)
    server.statuses = [status]
    with pytest.raises(DownloadError, match=f"{status}.* What has arrived is kept"):
        fetch(server.url, tmp_path / "x", sha256=SHA256, retries=-1)
    assert fetch(server.url, tmp_path / "x", sha256=SHA256).read_bytes() == CONTENT
    assert server.requests[-1][0] == "bytes=100000-"


@pytest.mark.parametrize("status", [501, 507, 520, 599])
def test_a_server_that_fails_is_asked_again(server: Server, tmp_path: Path, status: int) -> None:
    server.statuses = [status]
    assert fetch(server.url, tmp_path / "x", retries=1).read_bytes() == CONTENT


def test_a_whole_part_is_checked_and_not_fetched_again(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "x.part"
    part.write_bytes(CONTENT)
    assert fetch(server.url, tmp_path / "x", sha256=SHA256, size=len(CONTENT)).exists()
    assert not server.requests
    assert names(tmp_path) == {"x"}
    fetch(server.url, tmp_path / "y", sha256=SHA256, size=len(CONTENT))
    (tmp_path / "z.part").write_bytes(CONTENT[::-1])
    path = fetch(server.url, tmp_path / "z", sha256=SHA256, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    part.symlink_to(tmp_path / "y")  # somebody else's file is never moved here
    (tmp_path / "x").unlink()
    fetch(server.url, tmp_path / "x", sha256=SHA256, size=len(CONTENT))
    assert (tmp_path / "y").read_bytes() == CONTENT
    assert not (tmp_path / "x").is_symlink()
