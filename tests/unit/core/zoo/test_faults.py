"""What can go wrong between a preset and this machine, each as a user would meet it.

A server on the loopback interface misbehaves, a preset is malicious, or the disk refuses. However
it fails: one sentence, the exit code that it deserves, nothing outside the cache, no preset that is
not whole, and the next call works if the fault has gone.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hvae_core.cli.main import main
from hvae_core.fetching import hub, transfer
from hvae_core.fetching.download import fetch
from hvae_core.files import replacing
from hvae_core.weights import write_tensors
from hvae_core.zoo import workplace

WEIGHTS = "/remote/model.safetensors"
PRESET = "/remote/preset.yaml"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `Site.files`, by `Site.faults` where there is one for the path."""

    server: Site

    def do_GET(self) -> None:
        site = self.server
        site.requests.append(self.path)
        content = site.files.get(self.path)
        fault = site.faults.get(self.path)
        if isinstance(fault, list):
            fault = fault.pop(0) if fault else None
        if fault is not None:
            fault(self, content)
        elif content is None:
            self.send_error(404)
        else:
            self.give(content)

    def give(
        self, content: bytes, length: int | None = None, status: int = 200, **headers: str
    ) -> None:
        """Send ``content``, saying that it has ``length`` bytes; from where Range asks."""
        start, length = 0, len(content) if length is None else length
        asked = self.headers.get("Range", "")
        if asked and self.server.resumable and status == 200:
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            headers["Content_Range"] = f"bytes {start}-{length - 1}/{length}"
        self.send_response(status)
        self.send_header("Content-Length", str(length - start))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content[start:])

    def log_message(self, *_: object) -> None:
        pass


Serve = Callable[[Handler, bytes], None]


class Site(http.server.ThreadingHTTPServer):
    """A server with the preset "remote"."""

    daemon_threads = True

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.config = config
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Serve | list[Serve | None]] = {}
        self.requests: list[str] = []
        self.resumable = True
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the test."""

    def offer(self, content: bytes, **changes: Any) -> None:
        """The preset with these weights and changes to its preset.yaml."""
        record = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        info = {**self.config, "weights": record, **changes}
        self.files = {WEIGHTS: content, PRESET: yaml.safe_dump(info).encode()}


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    path = write_tensors({"a": np.arange(90_000, dtype=np.float32)}, tmp_path / "weights")
    content = path.read_bytes()
    path.unlink()
    return content


@pytest.fixture
def site(weights: bytes, zoo: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The server; retries are few and soon, and silence counts as a cut soon."""
    monkeypatch.setattr(transfer, "BACKOFF", 0.001)
    monkeypatch.setattr(hub, "fetch", functools.partial(fetch, timeout=0.4, retries=1))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    info = yaml.safe_load((zoo / "untrained" / "preset.yaml").read_text())
    with Site({key: value for key, value in info.items() if key != "name"}) as site:
        site.offer(weights)
        threading.Thread(target=site.serve_forever, args=(0.02,), daemon=True).start()
        yield site
        site.released.set()
        site.shutdown()


# --- what the server does


def cut(handler: Handler, content: bytes) -> None:
    handler.give(content[:1000], len(content))


def silent(handler: Handler, content: bytes) -> None:
    cut(handler, content)
    handler.wfile.flush()
    handler.server.released.wait(5)


def corrupt(handler: Handler, content: bytes) -> None:
    handler.give(content[:-1] + b"x")


def too_short(handler: Handler, content: bytes) -> None:
    handler.give(content[:-1])


def too_long(handler: Handler, content: bytes) -> None:
    handler.give(content + b"x")


def says_more(handler: Handler, content: bytes) -> None:
    handler.give(content, len(content) + 1)


def says_less(handler: Handler, content: bytes) -> None:
    handler.give(content, 1000)


def endless(handler: Handler, content: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b"# and so on\n" * 1000)


def status(code: int) -> Serve:
    return lambda handler, content: handler.send_error(code)


def leads_to(url: str) -> Serve:
    return lambda handler, content: handler.give(b"", status=302, Location=url)


# --- what a weights file says


def safetensors(tensors: dict[str, Any], data: int = 8) -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


def tensor(begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]}


OVERLAP = safetensors({"a": tensor(0, 8), "b": tensor(4, 8)})
GAP = safetensors({"a": tensor(4, 8)})
OUTSIDE = safetensors({"a": tensor(0, 8_000_000)})
HUGE_HEADER = (2**62).to_bytes(8, "little") + b"{}" + bytes(100)
LYING_HEADER = (5000).to_bytes(8, "little") + b'{"a": 1}'
EMPTY = safetensors({"a": {"dtype": "F32", "shape": [0, 2**40], "data_offsets": [0, 0]}}, 0)
MANY_AXES = safetensors({"a": {"dtype": "F32", "shape": [1] * 20, "data_offsets": [0, 4]}}, 4)
NESTED = (200_000).to_bytes(8, "little") + b'{"a":' + b"[" * 199_995


# --- what a preset.yaml says

BOMB = b"a: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 10))
    for name in range(ord("b"), ord("k"))
)


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault, the sentence it deserves, and the exit code."""

    name: str
    says: str
    code: int = 1
    serve: dict[str, Serve] = dataclasses.field(default_factory=dict)
    weights: bytes | None = None
    preset: bytes | None = None
    info: dict[str, Any] = dataclasses.field(default_factory=dict)
    #: the path on the server, or another address
    source: str = "/remote"


def source_of(address: Any) -> dict[str, Any]:
    return {"weights": {"sha256": "0" * 64, "sources": [address]}}


FAULTS = [
    # the server
    Fault("cut", "ended after 1000 of", serve={WEIGHTS: cut}),
    Fault("silent", "no answer in time", serve={WEIGHTS: silent}),
    Fault("corrupt", "its sha256 is .* expected", serve={WEIGHTS: corrupt}),
    Fault("too-short", "has 360071 bytes, expected 360072", serve={WEIGHTS: too_short}),
    Fault("too-long", "has 360073 bytes, expected 360072", serve={WEIGHTS: too_long}),
    Fault("says-more", "has 360073 bytes, expected 360072", serve={WEIGHTS: says_more}),
    Fault("says-less", "has 1000 bytes, expected 360072", serve={WEIGHTS: says_less}),
    Fault("endless-preset", "goes on after the 262144 bytes", serve={PRESET: endless}),
    Fault("no-preset", "answered 404", serve={PRESET: status(404)}),
    Fault("forbidden", "answered 403", serve={WEIGHTS: status(403)}),
    Fault("broken", "answered 500", serve={WEIGHTS: status(500)}),
    Fault("to-a-file", "file:.* is not allowed", serve={WEIGHTS: leads_to("file:///x")}),
    Fault("circle", "answered 302", serve={WEIGHTS: leads_to(WEIGHTS)}),
    Fault("page", "not valid YAML", 2, preset=b"<html>{Log in: [</html>"),
    # the weights
    Fault("no-weights", "not a safetensors file", 2, weights=b"PK\x03\x04 a pickle in a zip"),
    Fault("huge-header", "not a safetensors file", 2, weights=HUGE_HEADER),
    Fault("lying-header", "cut short", 2, weights=LYING_HEADER),
    Fault("nested-header", "not a safetensors file", 2, weights=NESTED),
    Fault("overlap", "`b`; tensors may not overlap", 2, weights=OVERLAP),
    Fault("gap", "`a`; tensors may not overlap or leave gaps", 2, weights=GAP),
    Fault("no-elements", "which no model has", 2, weights=EMPTY),
    Fault("many-axes", "which no model has", 2, weights=MANY_AXES),
    Fault("outside", "cut short", 2, weights=OUTSIDE),
    # the preset
    Fault("python-tag", "not valid YAML", 2, preset=b"a: !!python/object/apply:os.abort []"),
    Fault("yaml-bomb", "more than 20000 values", 2, preset=BOMB),
    Fault("yaml-circle", "not valid YAML", 2, preset=b"a: &a [*a]"),
    Fault("yaml-nested", "not valid YAML", 2, preset=b"a: " + b"[\n" * 2_000),
    Fault("huge-preset", "expected at most 262144", preset=b"a: 1\n" * 100_000),
    Fault("no-checksum", "records no weights.sha256", 2, info={"weights": None}),
    Fault("name-climbs", "'../x' cannot be a preset's name", 2, info={"name": "../x"}),
    Fault("name-absolute", "cannot be a preset's name", 2, info={"name": "/etc/x"}),
    Fault("name-backslash", "cannot be a preset's name", 2, info={"name": "..\\x"}),
    Fault("source-climbs", "not allowed as a source", 2, info=source_of("../../x")),
    Fault("source-encoded", "not allowed", 2, info=source_of("https://h/a/%2e%2e/x")),
    Fault("source-backslash", "not allowed", 2, info=source_of("https://h/a/..%5cx")),
    Fault("source-path", "not allowed as a source", 2, info=source_of("/etc/passwd")),
    Fault("source-local", "not allowed as a source", 2, info=source_of("file:///etc/passwd")),
    Fault("source-control", "no well-formed address", 2, info=source_of("https://h/a%00b")),
    Fault("source-open", "not encrypted", 2, info=source_of("http://example.org/x")),
    Fault("source-no-text", "list of addresses", 2, info=source_of(5)),
    Fault("many-sources", "names 17 addresses; at most 16", 2,
          info={"weights": {"sha256": "0" * 64, "sources": ["https://h/x"] * 17}}),
    Fault("no-figures", "figures must be a mapping", 2, info={"figures": "x"}),
    Fault("escapes", r"summary holds the character '.x1b'", 2, info={"summary": "a\x1b[2J"}),
    Fault("unknown-key", "Unknown key 'widht'", 2, info={"widht": 5}),
    Fault("unknown-part", "There is no flow", 2, info={"model": {"flow": "nothing"}}),
    Fault("wide", "model.width is 1000000000", 2, info={"model": {"width": 10**9}}),
    Fault("deep", "model.decoder_blocks is 1000", 2, info={"model": {"decoder_blocks": 10**20}}),
    Fault("announced", "has 1 tensors with 90,000 parameters", 2, info={"model": {"width": 6000}}),
    Fault("mirror", "data.url: 'file:///etc' is not allowed", 2,
          info={"data": {"name": "cifar10", "url": "file:///etc"}}),
    *(Fault(f"tracker-{tracker['name']}", "train.trackers must be empty", 2,
            info={"train": {"trackers": [tracker]}})
      for tracker in ({"name": "mlflow", "tracking_uri": "https://h/x"},
                      {"name": "wandb", "entity": "me"}, {"name": "tensorboard"})),
    Fault("plugin", "by its own account that is part of the package evil-package", 2,
          info={"model": {"flow": "evil"}, "plugins": {"flow.evil": "evil-package 1"}}),
    Fault("plugin-options", "does not name it and its package", 2,
          info={"model": {"flow": "evil"}, "plugins": {"flow.evil": "--index-url=https://h/x"}}),
    # the address
    Fault("unknown-scheme", "not allowed as a source", 2, source="ftp://h/x"),
    Fault("unencrypted", "not encrypted", 2, source="http://example.org/x"),
    Fault("address-climbs", "not allowed", 2, source="https://h/a/../x"),
    Fault("address-hidden", "cannot be a preset's name", 2, source="https://h/.x"),
    Fault("address-newline", "no well-formed address", 2, source="https://h/x%0d%0aHost:y"),
    Fault("address-login", "no well-formed address", 2, source="https://name:secret@h/x"),
    Fault("address-port", "no well-formed address", 2, source="https://h:x/x"),
    Fault("hub-climbs", "not allowed as a source", 2, source="hf://a/../b"),
    Fault("hub-short", "no well-formed address", 2, source="hf://x"),
]  # fmt: skip


def pull(capsys: pytest.CaptureFixture[str], source: str, *options: str) -> tuple[int, str]:
    """Exit code and what was said; a failure is one sentence (and a hint) on stderr."""
    with pytest.raises(SystemExit) as left:
        main(["zoo", "pull", source, *options])
    out, err = capsys.readouterr()
    code = int(left.value.code or 0)
    if code:
        assert not out
        assert re.fullmatch(r"Error: .+\n", err), err
    return code, out or err


def snapshot(folder: Path, but: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and but not in path.parents
    }


def presets(home: Path) -> set[str]:
    """What lies in the cache under its final name."""
    folder = home / "presets"
    return {path.name for path in folder.iterdir()} - {".pulling"} if folder.exists() else set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_one_sentence_and_leaves_nothing(
    fault: Fault,
    site: Site,
    weights: bytes,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.offer(fault.weights or weights, **fault.info)
    if fault.preset is not None:
        site.files[PRESET] = fault.preset
    site.faults.update(fault.serve)
    before = snapshot(tmp_path, home)
    source = fault.source if "://" in fault.source else site.url + fault.source
    code, said = pull(capsys, source)
    assert re.search(fault.says, said), said
    assert code == fault.code
    assert presets(home) == set()
    assert snapshot(tmp_path, home) == before
    site.offer(weights)
    site.faults.clear()
    assert pull(capsys, f"{site.url}/remote")[0] == 0
    assert presets(home) == {"remote"}
    assert {path.name for path in (home / "presets" / ".pulling").iterdir()} == {".remote.lock"}


@pytest.mark.parametrize("resumable", [True, False])
def test_a_bad_line_is_mended(
    resumable: bool, site: Site, weights: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Busy, cut and elsewhere; with and without an answer to Range."""
    site.resumable = resumable
    site.files["/elsewhere"] = weights
    site.faults[WEIGHTS] = [status(503), cut, leads_to("/elsewhere")]
    assert pull(capsys, f"{site.url}/remote")[0] == 0
    assert site.requests[-1] == "/elsewhere"


# --- the disk


def refuse(number: int) -> Callable[..., Any]:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize(
    ("where", "name", "number"),
    [
        (transfer.os, "fsync", errno.ENOSPC),
        (transfer.os, "open", errno.ENOSPC),
        (workplace.Path, "mkdir", errno.EROFS),
        (replacing.os, "replace", errno.EACCES),
    ],
    ids=["full", "full-at-once", "read-only", "no-rename"],
)
def test_a_disk_that_refuses(
    where: Any,
    name: str,
    number: int,
    site: Site,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(where, name, refuse(number))
        code, said = pull(capsys, f"{site.url}/remote")
    assert (code, presets(home)) == (1, set())
    assert os.strerror(number) in said
    assert "HVAE_HOME" in said
    assert pull(capsys, f"{site.url}/remote")[0] == 0


def test_links_in_the_cache_are_not_followed(
    site: Site, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "preset.yaml").write_text("mine")
    for link in (home / "presets" / "remote", home / "presets" / ".pulling" / "remote"):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(victim)
    assert pull(capsys, f"{site.url}/remote", "--force")[0] == 0
    assert {path.name: path.read_text() for path in victim.iterdir()} == {"preset.yaml": "mine"}
    assert not (home / "presets" / "remote").is_symlink()


# --- other processes


def start(source: str, patch: str = "", *options: str) -> subprocess.Popen[str]:
    code = f"import os, signal, sys; {patch}\nfrom hvae_core.cli.main import main; main()"
    arguments = ["zoo", "pull", source, "--json", *options]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


KILL = "lambda *_: os.kill(os.getpid(), signal.SIGKILL)"


def test_killed_before_the_rename(
    site: Site, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start(f"{site.url}/remote", f"import hvae_core.zoo.pulling as p; p.swap_in = {KILL}")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert presets(home) == set()
    site.requests.clear()
    assert pull(capsys, f"{site.url}/remote")[0] == 0
    assert WEIGHTS not in site.requests  # they had come, whole
    assert presets(home) == {"remote"}


@pytest.mark.parametrize("exchanges", [True, False])
def test_killed_while_one_gives_way(
    exchanges: bool, site: Site, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The older preset has given way; the new one is in its place, where the system can do that."""
    if exchanges and not sys.platform.startswith(("linux", "darwin")):
        pytest.skip("names cannot change places here")
    assert pull(capsys, f"{site.url}/remote")[0] == 0
    patch = (
        "import hvae_core.files.replacing as f; rename = os.replace\n"
        f"exchange = f._exchange; f._exchange = lambda *two: {exchanges} and exchange(*two)\n"
        f"def replace(*paths):\n    rename(*paths); ({KILL})()\n"
        "import hvae_core.zoo.pulling as p; swap = p.swap_in\n"
        "def swap_in(*folders):\n    f.os.replace = replace; swap(*folders)\n"
        "p.swap_in = swap_in"
    )
    process = start(f"{site.url}/remote", patch, "--force")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (home / "presets" / "remote" / "model.safetensors").exists() is exchanges
    assert pull(capsys, f"{site.url}/remote")[0] == 0
    with pytest.raises(SystemExit):
        main(["zoo", "prune", "--json"])
    removed = json.loads(capsys.readouterr().out)["removed"]
    assert [item["reason"] for item in removed] == ["left over by a process that was killed"]
    assert presets(home) == {"remote"}


def test_two_processes_pull_it_once(site: Site, home: Path) -> None:
    site.faults[WEIGHTS] = [lambda handler, content: (handler.server.released.wait(20),
                                                      handler.give(content))[1]]  # fmt: skip
    processes = [start(f"{site.url}/remote") for _ in range(2)]
    while site.requests.count(WEIGHTS) < 1:
        assert processes[0].poll() is None
        assert processes[1].poll() is None
    site.released.set()
    results = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert {result["status"] for result in results} == {"pulled", "already here"}
    assert site.requests.count(WEIGHTS) == 1
    assert presets(home) == {"remote"}
