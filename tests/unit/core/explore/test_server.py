"""The page as it is served: nothing outside its uploads is read, and nothing stays behind."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from hvae_core.cli.main import main
from hvae_core.explore import models
from hvae_core.explore.server import listen

#: imported by the worker that runs the tests alone: it takes seconds
pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio")
#: what the next page does before and after it serves
NEXT = """
import signal
from hvae_core.explore.server import upload_folder

with upload_folder() as uploads:
    (uploads / "a.png").write_bytes(b"private")
    print("kept", flush=True)
    signal.pause()
"""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def served(folder):
    """The address of a page in a process of its own, and the process."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "hvae_core.cli.main", "explore", "digits-vdvae", "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        watchdog.cancel()
        assert found, "the page was not served"
        yield found[0], process
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def send(address, path, content, **headers):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(address + path, body, headers)
    with DIRECT.open(request, timeout=30) as answer:
        return json.load(answer)


def upload(address, content):
    frame = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body = frame + content + b"\r\n--x--\r\n"
    kind = "multipart/form-data; boundary=x"
    return send(address, "/gradio_api/upload", body, **{"Content-Type": kind})[0]


def outcome(address, data, fn_index, session):
    """What the queue makes of a request."""
    body = {"data": data, "fn_index": fn_index, "session_hash": session}
    send(address, "/gradio_api/queue/join", body)
    url = f"{address}/gradio_api/queue/data?session_hash={session}"
    with DIRECT.open(url, timeout=60) as lines:
        for line in lines:
            message = json.loads(line.removeprefix(b"data: ") or b"{}") if line.strip() else {}
            if message.get("msg") == "process_completed":
                return message
    raise AssertionError("the queue said nothing")


def test_only_uploads_are_read_and_they_do_not_stay(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "secret.png")
    with served(tmp_path / "tmp") as (address, process):
        with DIRECT.open(f"{address}/config", timeout=30) as answer:
            functions = json.load(answer)["dependencies"]
        index = next(f["id"] for f in functions if f["api_name"] == "reconstruct")
        path = upload(address, (tmp_path / "secret.png").read_bytes())

        def reconstruct(entry):
            return outcome(address, ["digits-vdvae", entry, 5, 1.0, 0], index, "one")

        done = reconstruct({"path": path, "meta": {"_type": "gradio.FileData"}})
        assert done["success"], done
        shown = done["output"]["data"][0]["path"]
        with DIRECT.open(f"{address}/gradio_api/file={shown}", timeout=30) as answer:
            assert answer.read().startswith(b"\x89PNG")
        for entry in ({"path": str(tmp_path / "secret.png")}, {"path": "/etc/hostname"}):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                reconstruct(entry)
        # a path that no key names is refused by the page itself
        assert not reconstruct(str(tmp_path / "secret.png"))["success"]

        process.kill()  # it cannot remove what was uploaded; the next page does
        process.wait(30)
    (left,) = (tmp_path / "tmp").glob("hvae-explore-*")
    assert any(path.is_file() for path in (left / "uploads").rglob("*"))

    with subprocess.Popen(
        [sys.executable, "-c", NEXT], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "kept\n"
        assert not left.exists()
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list((tmp_path / "tmp").glob("hvae-explore-*")) == []


@pytest.mark.parametrize("host", ["127..1", "a" * 64, "\udcff"])
def test_a_host_that_is_no_name_of_a_machine(host):
    with pytest.raises(OSError, match="no name or address of a machine"):
        listen(host, None)


def test_a_host_is_refused_before_a_model_is_loaded(monkeypatch, capsys):
    monkeypatch.setattr(models, "Models", lambda source: pytest.fail("no model is needed"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as left:
        main(["explore", "--host", "127..1", "--no-browser"])
    assert left.value.code == 2
    assert "Cannot serve on 127..1: it is no name or address" in capsys.readouterr().err
