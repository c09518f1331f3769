"""Presets from and to a Hub on the loopback interface, through the Hub's own client."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hvae_core.errors import MissingDependencyError, PresetError
from hvae_core.zoo import find_preset, pull
from hvae_core.zoo.publishing import Publication, push

REPOSITORY = "/owner/some.name"
#: runs the zoo of this test as the only installed one
START = """
import contextlib, sys, types
from pathlib import Path
from hvae_core.plugins.specs import ComponentSpec
from hvae_core.zoo import folders
spec = ComponentSpec(kind="preset", name="zoo", summary="", builder=lambda: Path(sys.argv.pop(1)))
folder = spec.build()
spec = ComponentSpec(kind="preset", name="zoo", summary="", builder=lambda: folder)
entry = types.SimpleNamespace(kind="preset", name="zoo", status="available")
folders.manager = lambda: types.SimpleNamespace(
    entries=lambda kind: [entry],
    get=lambda kind, name: spec,
    guarding=lambda kind, name: contextlib.nullcontext(),
)
from hvae_core.cli.main import main
main()
"""


class Handler(http.server.BaseHTTPRequestHandler):
    """As much of the Hub's protocol as its client needs."""

    server: Hub

    def do_HEAD(self) -> None:
        self._file(send=False)

    def do_GET(self) -> None:
        listed = re.fullmatch(rf"/api/models{re.escape(REPOSITORY)}/tree/([^?]+).*", self.path)
        if listed is None:
            self._file(send=True)
        else:
            files = self.server.revisions[listed[1]]
            self._answer(200, [{"type": "file", "path": name, "size": len(content), "oid": "0"}
                               for name, content in files.items()])  # fmt: skip

    def _file(self, send: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        _, _, revision, name = self.path.removeprefix(REPOSITORY).split("/", 3)
        content = self.server.revisions.get(revision, {}).get(name)
        if content is None:
            self._answer(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "0" * 40})
            return
        asked, status, start = self.headers.get("Range", ""), 200, 0
        headers = {"X-Repo-Commit": "0" * 40, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if asked:
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.send_response(status)
        if not (send and self.server.endless):
            headers["Content-Length"] = str(len(content) - start)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if send and self.server.endless and name == "model.safetensors":
            while True:
                self.wfile.write(bytes(1 << 20))
        if send:
            cut = (
                self.server.cuts.pop() if name == "model.safetensors" and self.server.cuts else None
            )
            self.wfile.write(content[start:cut])
            self.close_connection = True

    def do_POST(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer hf_test":
            self._answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self._answer(200, {"url": f"{self.server.url}{REPOSITORY}"})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif "/branch/" in self.path:
            self.server.revisions.setdefault(self.path.rpartition("/")[2], {})
            self._answer(200, {})
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(raw)["files"]
            ]
            self._answer(200, {"files": files})
        elif "/commit/" in self.path:
            revision = self.server.revisions[self.path.rpartition("/")[2]]
            for line in raw.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    revision[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "deletedFile":
                    del revision[entry["value"]["path"]]
            self._answer(200, {"commitUrl": f"{self.server.url}{REPOSITORY}/commit/{'0' * 40}",
                               "commitOid": "0" * 40, "success": True})  # fmt: skip
        else:
            self._answer(404, {})

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Type": "application/json"}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Hub(http.server.ThreadingHTTPServer):
    """A repository's files by revision."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.revisions: dict[str, dict[str, bytes]] = {"main": {}}
        self.cuts: list[int] = []
        #: whether weights go on for ever
        self.endless = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the test."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    with Hub() as hub:
        threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True).start()
        yield hub
        hub.shutdown()


def run(
    hub: Hub, zoo: Path, home: Path, *arguments: str, token: str = "hf_test"
) -> tuple[int, str]:
    """``hvae zoo`` in a process whose Hub this is: its exit code, and what it said."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home.parent / "hub-home"),
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "no_proxy": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", START, str(zoo), "zoo", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr


def test_there_and_back(hub: Hub, zoo: Path, home: Path) -> None:
    """Pushed to a branch, pulled over a line that is cut; nothing goes elsewhere."""
    picture = zoo / "trained" / "samples.png"
    picture.write_bytes(b"a picture")
    address = "hf://owner/some.name"
    push_it = ["push", "trained", f"{address}@v1"]
    code, said = run(hub, zoo, home, *push_it)
    assert (code, hub.revisions) == (2, {"main": {}})
    assert "without a licence" in said

    code, said = run(hub, zoo, home, *push_it, "--licence", "CC-BY-4.0", "--cite", "Cite me.")
    assert code == 0, said
    files = hub.revisions["v1"]
    assert set(files) == {"preset.yaml", "model.safetensors", "README.md", "samples.png"}
    card = files["README.md"].decode()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    for part in (
        "library_name: hvae",
        "![Samples](samples.png)",
        "| bits/dim | 3.25 |",
        "Cite me.",
    ):
        assert part in card
    from huggingface_hub import ModelCard

    (result,) = ModelCard(card).data.eval_results
    assert (result.metric_type, result.metric_value) == ("bits_per_dim", 3.25)
    assert (result.dataset_type, result.task_type) == ("digits", "unconditional-image-generation")

    code, said = run(hub, zoo, home, *push_it, "--licence", "CC-BY-4.0")
    assert code == 2
    assert "holds a preset already" in said

    hub.cuts = [200]
    code, said = run(hub, zoo, home, "pull", address, "--revision", "v1", "--json")
    assert code == 0, said
    first = json.loads(said)
    assert first["status"] == "pulled"
    code, said = run(hub, zoo, home, "pull", address, "--revision", "v1", "--json")
    assert code == 0, said
    assert json.loads(said) == {**first, "status": "already here"}
    found = find_preset(f"{address}@v1")
    assert found.weights_path is not None
    assert found.weights_path.read_bytes() == files["model.safetensors"]
    assert {path.name for path in found.folder.iterdir()} == {*files, "origin.json"}
    assert not any("trained" in line for line in hub.asked)


@pytest.mark.parametrize("revision", ["", "@v1"])
def test_a_preset_that_is_replaced_leaves_none_of_its_files(
    revision: str, hub: Hub, zoo: Path, home: Path
) -> None:
    push_it = ["push", "trained", f"hf://owner/some.name{revision}", "--licence", "CC-BY-4.0"]
    pictures = ("samples.png", "reconstructions.png", "training.png")
    for name in pictures:
        (zoo / "trained" / name).write_bytes(b"a picture")
    assert run(hub, zoo, home, *push_it)[0] == 0
    files = hub.revisions[revision[1:] or "main"]
    assert set(pictures) < set(files)
    files.update({".gitattributes": b"", "notes.txt": b"the author's own"})
    for name in pictures[1:]:
        (zoo / "trained" / name).unlink()
    (zoo / "trained" / pictures[0]).write_bytes(b"another picture")
    code, said = run(hub, zoo, home, *push_it, "--force")
    assert code == 0, said
    kept = {".gitattributes", "notes.txt", "samples.png"}
    assert set(files) == {"preset.yaml", "model.safetensors", "README.md", *kept}
    assert files["samples.png"] == b"another picture"


@pytest.mark.parametrize("revision", ["", "@v1"])
def test_a_damaged_one_is_mended_by_what_verify_says(
    revision: str, hub: Hub, zoo: Path, home: Path
) -> None:
    address, name = f"hf://owner/some.name{revision}", f"hf--owner--some.name{revision}"
    files = hub.revisions.setdefault(revision[1:] or "main", {})
    for file in ("preset.yaml", "model.safetensors"):
        files[file] = (zoo / "trained" / file).read_bytes()
    code, said = run(hub, zoo, home, "pull", address)
    assert code == 0, said
    weights = home / "presets" / name / "model.safetensors"
    weights.write_bytes(b"x")
    code, said = run(hub, zoo, home, "verify", name)
    assert code == 2
    assert said.endswith(f" has 1 bytes, expected {len(files['model.safetensors'])}. "
                         f"Pull them with: hvae zoo pull {address} --force\n")  # fmt: skip
    command = shlex.split(said.rpartition("with: ")[2])
    code, told = run(hub, zoo, home, "pull", name, "--force")
    if revision:  # a folder's name, which names nothing to pull; it says what does
        assert code == 2
        assert told.startswith(f"Error: Cannot pull {name!r} by this name")
        assert shlex.split(told.rpartition("with: ")[2]) == command
        code, told = run(hub, zoo, home, *command[2:])
    assert code == 0, told
    assert weights.read_bytes() == files["model.safetensors"]
    assert run(hub, zoo, home, "verify", name)[0] == 0


def test_what_the_hub_refuses(hub: Hub, zoo: Path, home: Path) -> None:
    (zoo / "trained" / "samples.png").write_bytes(b"a picture")
    code, said = run(hub, zoo, home, "pull", "hf://owner/some.name")
    assert code == 1
    assert said == "Error: hf://owner/some.name has no file preset.yaml.\n"

    hub.revisions["main"]["preset.yaml"] = b"# " + b"x" * 300_000
    code, said = run(hub, zoo, home, "pull", "hf://owner/some.name")
    assert code == 1
    assert "expected at most" in said
    assert not [line for line in hub.asked if line.startswith("GET")]

    arguments = ("push", "trained", "hf://owner/some.name", "--licence", "MIT")
    code, said = run(hub, zoo, home, *arguments, token="hf_wrong")
    assert code == 1
    assert "Cannot push to hf://owner/some.name" in said
    assert "hf auth login" in said
    assert said.count("\n") == 1


def test_a_hub_that_does_not_end_and_links_in_the_cache(
    hub: Hub, zoo: Path, home: Path, tmp_path: Path
) -> None:
    for name in ("preset.yaml", "model.safetensors"):
        hub.revisions["main"][name] = (zoo / "trained" / name).read_bytes()
    work = home / "presets" / ".pulling" / "hf--owner--some.name"
    (victim := tmp_path / "victim").mkdir()
    (victim / "model.safetensors").write_text("mine")
    work.mkdir(parents=True)
    (work / ".hub").symlink_to(victim)
    hub.endless = True
    code, said = run(hub, zoo, home, "pull", "hf://owner/some.name")
    assert code == 1
    assert re.fullmatch(r"Error: [^\n]* goes on after the \d+ bytes expected[^\n]*\n", said), said
    assert sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) < 1 << 20
    hub.endless = False
    assert run(hub, zoo, home, "pull", "hf://owner/some.name")[0] == 0
    assert {path.name: path.read_bytes() for path in victim.iterdir()} == {
        "model.safetensors": b"mine"
    }


def test_without_its_package(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"hvae\[hub\]"):
        pull("hf://owner/name")
    publication = Publication.of(find_preset("trained"))
    publication.info["licence"] = "MIT"  # type: ignore[index]
    with pytest.raises(MissingDependencyError, match=r"hvae\[hub\]"):
        push(publication, "hf://owner/name")


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("hf://owner/name@a", "names the revision 'a', but 'b' is asked for"),
        ("trained", "no address on the Hub"),
        ("https://host/preset", "no address on the Hub"),
    ],
)
def test_a_revision_that_means_nothing(zoo: Path, source: str, match: str) -> None:
    with pytest.raises(PresetError, match=match):
        pull(source, revision="b")


def test_a_pulled_revision_is_loaded_by_its_address(zoo: Path, home: Path) -> None:
    folder = home / "presets" / "hf--owner--name@v1"
    shutil.copytree(zoo / "trained", folder)
    assert find_preset("hf://owner/name@v1").folder == folder
