"""Whatever is sent to the page of ``hvae explore``: it is refused, or answered as the page wants.

The page is served once, in a process that tells each file of others that it opens, each connection
and each process that it begins. Longer, with examples of its own each time:
``pytest tests/faults/test_fuzz_page.py --hypothesis-profile long``
"""

import dataclasses
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

#: imported by the worker that runs the tests alone: it takes seconds
pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio")

#: serves the page; what it may not do is told in stderr, where all of its log is
SERVE = """
import os, sys

def audit(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        own = path.startswith(place + "/tmp/") and not path.endswith("/lock")
        if path in others or (path.startswith(place) and not own):
            os.write(2, f"DEED: opened {path}\\n".encode())
    elif event in ("socket.connect", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        os.write(2, f"DEED: {event} {arguments[1:]}\\n".encode("utf-8", "replace"))

from hvae_core.explore import gate, server

place, others = sys.argv.pop(), ("/etc/hostname", "/dev/zero", f"/proc/{os.getpid()}/environ")
gate.PATIENCE = 0.3
served = server.serve
server.serve = lambda *arguments: (sys.addaudithook(audit), served(*arguments))
from hvae_core.cli.main import main

main(["explore", "digits-vdvae", "--no-browser"])
"""
API = "/gradio_api"
#: seconds: for an answer to begin, and of one that need not end
SOON, BRIEFLY = 60.0, 0.1
SECRET = b"a secret of this machine"


@dataclasses.dataclass
class Page:
    """The served page: its port, its log, and what is written for names in braces."""

    port: int
    log: io.BufferedReader
    functions: dict[str, int]
    names: dict[str, str] = dataclasses.field(default_factory=dict)

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """The answer's number and body; 0 where the connection was closed without one."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), SOON) as connection:
            connection.sendall(request)
            while b"\r\n\r\n" not in answer and (data := connection.recv(1 << 16)):
                answer += data
            head, _, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)^content-length: (\d+)", head, re.MULTILINE)
            connection.settimeout(SOON if length else BRIEFLY)
            try:
                while (not length or len(body) < int(length[1])) and not request.startswith(b"HE"):
                    if not (data := connection.recv(1 << 16)):
                        break
                    body += data
            except TimeoutError:
                assert not length, "the answer breaks off"
        return (int(head.split(b" ")[1]) if head else 0), body

    def outcome(self, session: str) -> dict:
        """What the queue made of a request that it took."""
        with socket.create_connection(("127.0.0.1", self.port), SOON) as connection:
            connection.sendall(request(f"{API}/queue/data?session_hash={session}", method="GET"))
            with connection.makefile("rb") as lines:
                for line in lines:
                    if b'"process_completed"' in line:
                        return json.loads(line.partition(b"data: ")[2])
        raise AssertionError("the queue said nothing")

    def named(self, text: str) -> str:
        """The text with names in braces replaced, and numbers that JSON's writer has not."""
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return re.sub(r'"@([^"@]*)@"', r"\1", text)

    def check(self) -> None:
        """It still answers, and has told nothing that it should not have."""
        status, answer = self.ask(request("/robots.txt", method="GET"))
        assert (status, b"User-agent" in answer) == (200, True)
        told = self.log.read().decode()
        assert "Traceback" not in told, told
        assert "DEED" not in told, told


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page, an upload of ours in it, and beside it what is none of its business."""
    place = tmp_path_factory.mktemp("page").resolve()
    for name in ("tmp", "secrets", "home"):
        (place / name).mkdir()
    (place / "secrets" / "secret.txt").write_bytes(SECRET)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(place / "secrets" / "secret.png")
    os.mkfifo(place / "secrets" / "pipe")
    environment = {"TMPDIR": str(place / "tmp"), "HVAE_HOME": str(place / "tmp" / "home")}
    log = place / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(place)],
            stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, **environment},
        )  # fmt: skip
    watchdog = threading.Timer(300, process.kill)
    watchdog.start()
    try:
        address = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert address, f"the page was not served: {log.read_text()}"
        with log.open("rb") as reader:
            served = Page(int(address[1]), reader, {})
            config = json.loads(served.ask(request("/config", method="GET"))[1])
            served.functions = {f["api_name"]: f["id"] for f in config["dependencies"]}
            (upload,) = json.loads(served.ask(uploaded(PNG))[1])
            uploads = str(Path(upload).parents[1])
            served.names = {
                "upload": upload, "uploads": uploads, "secrets": str(place / "secrets"),
                "port": address[1],
            }  # fmt: skip
            yield served
            served.check()
        process.terminate()
        assert process.wait(30) == 128 + 15
        assert list((place / "tmp").glob("hvae-explore-*")) == []
    finally:
        watchdog.cancel()
        process.kill()
        process.wait(30)
        process.stdout.close()


# requests


def request(target, body=b"", method="POST", headers=(), without=()):
    """A request as the page's own would be, with other headers added or some left out."""
    own = {"Host": "127.0.0.1:1", "Connection": "close"}
    if method == "POST":
        own |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    changed = {name.lower() for name, _ in headers}
    pairs = [(n, v) for n, v in own.items() if n.lower() not in changed and n not in without]
    lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in [*pairs, *headers])]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass") + body


def uploaded(content, name="a.png", field="files", boundary="x", extra=b"", target="/upload"):
    """An upload."""
    frame = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    body = frame.encode("utf-8", "surrogatepass") + content + b"\r\n" + extra + b"--x--\r\n"
    kind = ("Content-Type", f"multipart/form-data; boundary={boundary}")
    return request(f"{API}{target}", body, headers=[kind])


def picture(side, form="png"):
    buffer = io.BytesIO()
    Image.fromarray(np.arange(side * side, dtype=np.uint8).reshape(side, side)).save(buffer, form)
    return buffer.getvalue()


PNG = picture(8)
GIANT = PNG[:16] + (60_000).to_bytes(4, "big") * 2 + PNG[24:]
CONTENTS = st.one_of(
    st.sampled_from([PNG, GIANT, b"", picture(9, "gif"), picture(9, "tiff"), PNG[:40], b"<svg/>"]),
    st.tuples(st.integers(0, len(PNG) - 1), st.binary(min_size=1, max_size=4)).map(
        lambda pair: PNG[: pair[0]] + pair[1] + PNG[pair[0] + len(pair[1]) :]
    ),
)
ODD_PATHS = [
    *("{secrets}/secret.png", "{secrets}/secret.txt", "{secrets}/pipe", "{secrets}", "/dev/zero"),
    *("/etc/hostname", "/proc/self/environ", "{uploads}/../lock", "{uploads}", "{uploads}/", "/"),
    *("{uploads}/../../../secrets/secret.png", "{upload}/../../../../../secrets/secret.png"),
    *("{upload}\0", "{upload}\n", "{upload}/", "file://{secrets}/secret.png", "~", "", ".", ".."),
    *("http://127.0.0.1:{port}/config", "http://127.0.0.1:1/a.png", "//127.0.0.1/a", "\\\\h\\a"),
    *("data:image/png;base64,AAAA", "a" * 5000, "\ud800", "C:\\a.png", "{upload}.png", "%2e%2e"),
]  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-5, 70), st.floats(-3, 70), st.sampled_from([10**6, 2**31, 2**63, 10**40, 1e308]),
    st.sampled_from([f"@{n}@" for n in ("NaN", "-Infinity", "1e999", "-0", "9" * 5000, "01")]),
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=5), st.sampled_from(ODD_PATHS),
    st.sampled_from(["digits-vdvae", "mnist-vdvae", "__class__", "\x1b[2J", "<script>"]),
)  # fmt: skip
MARKS = st.one_of(st.just({"_type": "gradio.FileData"}), SCALARS, st.just({"_type": ["x"]}))
FILES = st.fixed_dictionaries(
    {},
    optional={
        "path": st.one_of(st.just("{upload}"), st.sampled_from(ODD_PATHS), SCALARS),
        "url": st.one_of(st.sampled_from(ODD_PATHS), SCALARS),
        "meta": MARKS,
        "orig_name": st.sampled_from(ODD_PATHS),
        "size": NUMBERS,
        "mime_type": SCALARS,
        "is_stream": SCALARS,
        "value": st.fixed_dictionaries({"path": st.sampled_from(ODD_PATHS), "meta": MARKS}),
    },
)
VALUES = st.recursive(
    st.one_of(SCALARS, FILES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["path", "value", "props", "__type__", "a", "id"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)
MINE = {"path": "{upload}", "meta": {"_type": "gradio.FileData"}}
NAME = "digits-vdvae"
#: what the page itself sends
SENSIBLE = {
    "sample": [NAME, 4, 1.0, 0],
    "choose": [NAME],
    "draw": [NAME, 0],
    "reconstruct": [NAME, MINE, 5, 1.0, 0],
    "decode": [NAME, MINE, [0, 1], None, 1, 0, 0, 1.0, 0],
    "interpolate": [NAME, MINE, MINE, 3, 0],
}


@st.composite
def joins(draw):
    """A request to the queue of which some was changed: the function, its arguments, the rest."""
    function = draw(st.sampled_from(sorted(SENSIBLE)))
    data = list(SENSIBLE[function])
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 1))] = draw(
            st.one_of(VALUES, FILES, NUMBERS).map(lambda value: [value])
        )
    body = {"data": data, "fn_index": function, "session_hash": "own"}
    changes = draw(
        st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "fn_index",
                    "session_hash",
                    "event_data",
                    "trigger_id",
                    "batched",
                    "event_id",
                    "simple_format",
                    "request",
                    "x",
                ]
            ),
            VALUES,
            max_size=draw(st.sampled_from([0, 0, 1, 2])),
        )
    )
    return body | changes


@given(joins())
def test_the_queue(page, body):
    body = dict(body)
    function = body.get("fn_index")
    if isinstance(function, str) and function in page.functions:
        body["fn_index"] = page.functions[function]
    if body.get("session_hash") == "own":
        body["session_hash"] = session = f"s{time.monotonic_ns()}"
    else:
        session = None
    text = page.named(json.dumps(body)).encode()
    status, answer = page.ask(request(f"{API}/queue/join", text))
    assert status in (200, 400, 403, 422), answer
    if status == 200 and session:
        done = page.outcome(session)
        if not done["success"]:
            assert "Traceback" not in str(done["output"])
        answer += json.dumps(done).encode()
    assert SECRET not in answer
    page.check()


@given(
    st.sampled_from([f"{API}/queue/join", f"{API}/cancel", f"{API}/reset"]),
    st.one_of(
        st.fixed_dictionaries(
            {},
            optional={"session_hash": VALUES, "event_id": VALUES, "fn_index": VALUES, "x": VALUES},
        ).map(json.dumps),
        VALUES.map(json.dumps),
        st.integers(1, 30_000).map(lambda depth: "[" * depth + "]" * depth),
        st.integers(1, 10_000).map(lambda depth: '{"path":' * depth),
        st.text(max_size=20),
    ),
)
def test_other_json(page, target, text):
    body = page.named(text).encode("utf-8", "surrogatepass")
    status, answer = page.ask(request(target, body))
    assert status in (200, 400, 403, 413, 422), answer
    assert SECRET not in answer
    page.check()


@given(
    CONTENTS,
    st.one_of(st.sampled_from(ODD_PATHS), st.text(max_size=9)),
    st.sampled_from(["files", "file", "", "\0", 'x"; filename="../b']),
    st.sampled_from(["x", "x", "x", "y", "", "x" * 5000, '"x"', "é"]),
    st.sampled_from([b"", b"--x\r\n\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\nz\r\n",
                     b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nz\r\n', b"\0\r\n"]),
    st.sampled_from(["/upload", "/upload?upload_id=1", "/upload?upload_id=../x&upload_id=%00"]),
)  # fmt: skip
def test_uploads(page, content, name, field, boundary, extra, target):
    name = page.named(name)
    status, answer = page.ask(uploaded(content, name, field, boundary, extra, target))
    assert status in (200, 400, 413), answer
    if status == 200:
        paths = json.loads(answer)
        for path in paths:
            assert os.path.realpath(path).startswith(page.names["uploads"] + "/")
        if paths:  # what was uploaded is an image, or refused as none
            session = f"s{time.monotonic_ns()}"
            data = [NAME, {**MINE, "path": paths[0]}, 5, 1.0, 0]
            body = {"data": data, "fn_index": page.functions["reconstruct"]}
            body["session_hash"] = session
            if page.ask(request(f"{API}/queue/join", json.dumps(body).encode()))[0] == 200:
                page.outcome(session)
    page.check()


ODD_TARGETS = [
    *("/", "/config", "/theme.css", "/manifest.json", "/favicon.ico", "/assets/x", "/static/x"),
    *("/static/../../x", "/svelte/%2e%2e/x", "/assets/..%2f..%2fx", "*", "//evil.example/x"),
    *("http://evil.example/", "/login", "/docs", "/openapi.json", "/monitoring", "/?__theme=x"),
    *(f"{API}/{name}" for name in (
        "queue/data", "queue/data?session_hash=none", "queue/data?session_hash=%00", "info",
        "upload_progress", "upload_progress?upload_id=none", "app_id", "startup-events",
        "heartbeat/none", "heartbeat/%00", "api/sample", "run/sample", "call/sample", "upload",
        "queue/status", "queue/join", "component_server", "proxy=http://127.0.0.1:1/x",
        "stream/a/b/c/x", "custom_component/a/b/c", "deep_link", "process_recording", "cancel",
    )),
    *(f"{API}/file={path}" for path in ODD_PATHS),
    *(f"{API}/file={path.replace('/', '%2f')}" for path in ODD_PATHS),
]  # fmt: skip
TARGETS = st.one_of(
    st.sampled_from(ODD_TARGETS),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9).map("/".__add__),
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(
            st.just("Host"),
            st.sampled_from(["evil.example", "localhost:7", "", "127.0.0.1@evil.example", "[::1",
                             "127.0.0.1, evil.example", "é", "127.0.0.1:\t7"]),
        ),
        st.tuples(
            st.sampled_from(["Origin", "Referer"]),
            st.sampled_from(["null", "http://evil.example", "http://127.0.0.1:1", "", "é"]),
        ),
        st.tuples(
            st.just("Content-Length"),
            st.sampled_from(["-1", "0", "9" * 30, "1", "+2", "\u0661", "1e3", "70000", ""]),
        ),
        st.tuples(
            st.sampled_from(["Content-Type", "Content-Encoding", "Accept", "Range", "Cookie"]),
            st.sampled_from(["text/plain", "application/json;charset=utf-7", "gzip", "bytes=9-1",
                             "bytes=0-,0-,0-", "multipart/form-data", "a=b; c", "*/*;q=x", ""]),
        ),
        st.tuples(st.just("Transfer-Encoding"), st.sampled_from(["chunked", "x", "identity"])),
        st.tuples(st.just("Upgrade"), st.sampled_from(["websocket", "h2c"])),
        st.tuples(
            st.sampled_from(["X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto",
                             "X-Gradio-Server", "X-Gradio-User", "Sec-Fetch-Site"]),
            st.sampled_from(["evil.example", "https", "cross-site", "app", "DELETE", "1.2.3.4, x"]),
        ),
    ),
    max_size=1,
)  # fmt: skip


@given(
    st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE",
                     "PATCH", "CONNECT", "get", "PROPFIND"]),
    TARGETS,
    HEADERS,
    st.sampled_from([(), (), ("Host",), ("Content-Length",), ("Content-Type",)]),
    st.one_of(st.just(b""), st.just(b"{}"), st.binary(max_size=30)),
)  # fmt: skip
def test_routes_and_headers(page, method, target, headers, without, body):
    answer = answered(page, method, target, body, headers, without)
    assert b"evil.example" not in answer
    page.check()


def test_each_target(page):
    for target in ODD_TARGETS:
        for method in ("GET", "POST"):
            answered(page, method, target)
    page.check()


def answered(page, method, target, body=b"", headers=(), without=()):
    """The answer's body, once it is seen to be a refusal, or one that the page wants."""
    status, answer = page.ask(request(page.named(target), body, method, headers, without))
    assert status in (0, 200, 206, 400, 403, 404, 405, 411, 413, 415, 416, 421, 422), (
        status,
        target,
    )
    assert SECRET not in answer
    if status == 200 and "file=" in target:
        assert "{upload}" in target
    if ("Host", "evil.example") in headers:
        assert status in (0, 400, 421)
    return answer
