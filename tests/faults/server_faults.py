"""Servers that misbehave in every way that `hostile_server` knows, in front of ``hvae zoo pull``.

However they do: the command ends soon with one sentence that steers no terminal, installs nothing,
leaves nothing behind, and works once the server does.

    python tests/faults/server_faults.py
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from hostile_server import WAYS, HostileServer, Way

from hvae_core.cli.main import main as hvae
from hvae_core.fetching import hub, transfer
from hvae_core.fetching.download import fetch
from hvae_core.weights import write_tensors

#: seconds that a pull may take, with the patience set below
SOON = 20.0
PATHS = {"weights": "/remote/model.safetensors", "preset": "/remote/preset.yaml"}
CONFIG = {
    "summary": "a small one",
    "model": {"resolutions": [8, 4, 1], "image_channels": 1, "width": 8},
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    "data": {"name": "digits"},
}


def files(folder: Path) -> dict[str, bytes]:
    """What a good server has: a preset."""
    path = write_tensors({"a": np.arange(900, dtype=np.float32)}, folder / "weights.safetensors")
    content = path.read_bytes()
    record = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    text = yaml.safe_dump({**CONFIG, "weights": record}).encode()
    return {PATHS["weights"]: content, PATHS["preset"]: text}


@contextlib.contextmanager
def little_patience(home: Path) -> Iterator[None]:
    """Retries are few and soon, a second is a long time, and the cache is ``home``."""
    kept = transfer.BACKOFF, transfer.WINDOW, hub.fetch, dict(os.environ)
    transfer.BACKOFF, transfer.WINDOW = 0.001, 0.5
    hub.fetch = functools.partial(fetch, timeout=0.4, retries=1)
    os.environ.update(HVAE_HOME=str(home), no_proxy="127.0.0.1,127.0.0.2")
    os.environ.pop("HVAE_OFFLINE", None)
    try:
        yield
    finally:
        transfer.BACKOFF, transfer.WINDOW, hub.fetch = kept[:3]
        os.environ.clear()
        os.environ.update(kept[3])


def pull(url: str) -> tuple[int, str, str]:
    """The command's exit code and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            hvae(["zoo", "pull", url])
        except SystemExit as left:
            return int(left.code or 0), out.getvalue(), err.getvalue()
    raise AssertionError("the command did not leave")


def fault_of(way: Way, folder: Path) -> str:
    """What is wrong with how the pull deals with a server of this kind; empty if nothing is."""
    home = folder / "home"
    with little_patience(home), HostileServer(files(folder)) as server:
        server.faults[PATHS[way.on]] = way.fault
        begun = time.monotonic()
        code, out, err = pull(f"{server.url}/remote")
        taken = time.monotonic() - begun
        if code not in (1, 2) or out or "Traceback" in err:
            return f"exit code {code}: {out}{err}"
        if not re.fullmatch(r"Error: [^\n]+\n", err) or not err[:-1].isprintable():
            return f"it is no plain sentence: {err!r}"
        if not re.search(way.says, err) or len(err) > 5000:
            return f"it says {err[:500]}"
        if taken > SOON:
            return f"it took {taken:.0f} seconds"
        left = [path for path in (home / "presets").glob("*") if path.name != ".pulling"]
        if left:
            return f"it installed {left}"
        size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        if size > 1 << 20:
            return f"it left {size} bytes"
        server.faults.clear()
        code, out, err = pull(f"{server.url}/remote")
        if code:
            return f"it does not work afterwards: {err}"
        stray = [path.name for path in home.rglob("*.part*")]
        return f"it left {stray}" if stray else ""


def main() -> int:
    """Try all of them and print how many were held; 1 if one was not."""
    faults = []
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            if fault := fault_of(way, Path(folder)):
                faults.append(fault)
                print(f"{way.name} ({way.on}): {fault}")
    print(f"servers that misbehave, to a pull: {len(WAYS) - len(faults)} of {len(WAYS)} held")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
