"""Faults of pulling: killed at any file operation, and a disk that is full at any write.

A preset is pulled from a folder and from a server, once anew and once with ``--force`` over an
older version, and its file operations in the cache are counted as in `training_faults`. Then it is
pulled once for each fault: killed (SIGKILL) at the n-th operation, or refused room from it on.
Whatever happens, what lies under the preset's name is the old version or the new one, whole; a full
disk is one sentence; and the next pull goes on from what a server has sent, brings the new one and
leaves nothing that ``hvae zoo prune`` does not remove.

One process imports everything and forks a child for each pull. Needs a POSIX system.

    python tests/faults/pulling_faults.py --every 1
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import io
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hostile_server import HostileServer
from training_faults import Fault, FileOperations, full_from, kill_at, nothing, print_figures

CONFIG = {
    "summary": "a small one",
    "model": {"resolutions": [8, 4, 1], "image_channels": 1, "width": 8},
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    "data": {"name": "digits"},
}
#: bytes that are taken from a server at once; the weights are four such blocks
BLOCK = 1 << 16


def make_preset(folder: Path, seed: int) -> str:
    """Write a preset; gives the sha256 of its weights."""
    from hvae_core.weights import write_tensors

    folder.mkdir(parents=True)
    values = np.random.default_rng(seed).random(50_000, np.float32)
    path = write_tensors({"a": values}, folder / "model.safetensors")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record = {"sha256": digest, "size": path.stat().st_size}
    text = yaml.safe_dump({**CONFIG, "name": "small", "weights": record})
    (folder / "preset.yaml").write_text(text)
    (folder / "README.md").write_text("# A card\n")
    return digest


class PullOperations(FileOperations):
    """Counts the blocks of a transfer too, which go to a descriptor that is open already."""

    def __init__(self, folder: Path, fault: Fault) -> None:
        super().__init__(folder, fault)
        #: the operations that are in the middle of one
        self.blocks: list[int] = []

    def install(self) -> None:
        """Watch from here on."""
        from hvae_core.fetching import transfer
        from hvae_core.fetching.transfer import Transfer

        super().install()
        # Else it depends on the moment how many blocks there are.
        transfer.CHUNK = BLOCK
        http.client.HTTPResponse.read1 = http.client.HTTPResponse.read  # type: ignore[assignment]
        opened = Transfer._open_part
        operations = self

        def open_part(transfer: Transfer, start: int) -> Any:
            return _Watched(opened(transfer, start), operations)

        Transfer._open_part = open_part  # type: ignore[method-assign, assignment]


class _Watched:
    """A file of which each write is two, with an operation between."""

    def __init__(self, file: Any, operations: PullOperations) -> None:
        self._file, self._operations = file, operations

    def write(self, data: bytes) -> int:
        self._file.write(data[: len(data) // 2])
        self._file.flush()
        self._operations.operation(True)
        self._operations.blocks.append(self._operations.count)
        return int(self._file.write(data[len(data) // 2 :]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def child(home: Path, source: str, fault: Fault, *options: str) -> tuple[int, str]:
    """Pull in a forked process; its exit code, below 0 for a signal, and what it said.

    What it said ends with a line of its file operations: how many, and which are within a block.
    """
    answer = home.with_name("answer.txt")
    answer.write_text("")
    process = os.fork()
    if process == 0:
        code = 70
        try:
            code = _pull(home, source, fault, options, answer)
        except BaseException:
            answer.write_text(traceback.format_exc())
        finally:
            os._exit(code)
    status = os.waitpid(process, 0)[1]
    return os.waitstatus_to_exitcode(status), answer.read_text()


def _pull(home: Path, source: str, fault: Fault, options: tuple[str, ...], answer: Path) -> int:
    from hvae_core.cli.main import main

    os.environ.update(HVAE_HOME=str(home), no_proxy="127.0.0.1")
    os.environ.pop("HVAE_OFFLINE", None)
    operations = PullOperations(home, fault)
    said, code = io.StringIO(), 70
    operations.install()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(["zoo", "pull", source, *options])
        except SystemExit as left:
            code = int(left.code or 0)
    answer.write_text(f"{said.getvalue()}{json.dumps([operations.count, operations.blocks])}")
    return code


class Pulls:
    """Pulls under fault.

    Args:
        folder: for the presets and the caches.
        older: whether an older version is replaced, with ``--force``.
        server: what has the presets; else they are in the folder.
    """

    def __init__(self, folder: Path, older: bool, server: HostileServer | None = None) -> None:
        self.home, self.older = folder / "home", older
        made = {"new": folder / "new" / "small", "old": folder / "old" / "small"}
        self.digests = {make_preset(path, which == "old"): which for which, path in made.items()}
        self.new, self.old = map(str, made.values())
        if server is not None:
            server.files = {
                f"/{which}/small/{file.name}": file.read_bytes()
                for which, path in made.items()
                for file in path.iterdir()
            }
            self.new, self.old = f"{server.url}/new/small", f"{server.url}/old/small"
        self.options = ("--force",) if older else ()
        self._fresh()
        code, said = child(self.home, self.new, nothing, *self.options)
        if code:
            raise SystemExit(f"The unbroken pull failed: {said}")
        self.operations, self.blocks = json.loads(said.splitlines()[-1])

    def killed(self, number: int) -> str:
        """Kill a pull at an operation; what is wrong then, or nothing."""
        self._fresh()
        code, said = child(self.home, self.new, kill_at(number), *self.options)
        if code != -signal.SIGKILL:
            return f"it was not killed but ended with {code}: {said}"
        return self._afterwards()

    def filled(self, number: int) -> str:
        """Let the disk be full from an operation on; what is wrong then, or nothing."""
        self._fresh()
        code, said = child(self.home, self.new, full_from(number), *self.options)
        if code not in (0, 1) or "Traceback" in said:
            return f"it ended with {code}: {said}"
        if code == 1 and ("No space left" not in said or len(said.splitlines()) != 2):
            return f"it did not name the cause in one sentence: {said}"
        return self._afterwards()

    def _fresh(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        if self.older:
            code, said = child(self.home, self.old, nothing)
            if code:
                raise SystemExit(f"The older preset could not be pulled: {said}")

    def _afterwards(self) -> str:
        """Is one version there, whole; does the next pull bring the new one; is nothing left."""
        place = self.home / "presets" / "small"
        if (place.exists() or self.older) and self._version(place) is None:
            return "there is no whole preset in its place"
        code, said = child(self.home, self.new, nothing, *self.options)
        if code:
            return f"it cannot be pulled afterwards: {said}"
        if self._version(place) != "new":
            return "the new version was not pulled afterwards"
        left = {path.name for path in place.iterdir()}
        if left != {"preset.yaml", "model.safetensors", "README.md", "origin.json"}:
            return f"it left {left} in the preset"
        return self._pruned()

    def _version(self, place: Path) -> str | None:
        try:
            text = (place / "preset.yaml").read_text()
            content = (place / "model.safetensors").read_bytes()
        except OSError:
            return None
        digest = hashlib.sha256(content).hexdigest()
        return self.digests.get(digest) if digest in text else None

    def _pruned(self) -> str:
        """What is left in the cache after ``hvae zoo prune`` beside the preset and its lock."""
        from hvae_core.zoo import prune

        os.environ["HVAE_HOME"] = str(self.home)
        prune()
        presets = self.home / "presets"
        left = {path.relative_to(presets).as_posix() for path in presets.rglob("*")}
        left -= {".pulling", ".pulling/.small.lock", "small"}
        left = {name for name in left if not name.startswith("small/")}
        return f"it left {left}" if left else ""


def figures(every: int) -> Iterator[tuple[str, int, int, list[str]]]:
    """Try the faults at every so-many-th operation.

    Yields:
        What was tried, how many were held, how many were tried, and what went wrong.
    """
    for served, older in itertools.product((False, True), repeat=2):
        what = f"a pull from a {'server' if served else 'folder'}"
        what += " over an older version" if older else ""
        with tempfile.TemporaryDirectory() as folder, HostileServer({}) as server:
            pulls = Pulls(Path(folder), older, server if served else None)
            numbers = range(1, pulls.operations + 1, every)
            for name, attempt in (
                (f"{what}, killed at one of {pulls.operations} file operations", pulls.killed),
                (f"{what}, disk full from one of them on", pulls.filled),
            ):
                results = {number: attempt(number) for number in numbers}
                wrong = [f"operation {n}: {fault}" for n, fault in results.items() if fault]
                yield name, len(results) - len(wrong), len(results), wrong


def main() -> int:
    """Print the figures; 1 if a fault was not held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--every", type=int, default=1)
    import hvae_core.zoo.pruning
    import hvae_core.zoo.pulling  # noqa: F401  (the children need not import them)

    return print_figures(figures(parser.parse_args().every))


if __name__ == "__main__":
    sys.exit(main())
