"""Faults of training: killed at any file operation, and a disk that is full at any write.

A run of a tiny model counts its file operations: every open, write, flush, rename, removal and
listing within its folder. Then it is made once for each fault. It is killed (SIGKILL) before the
n-th operation, or in the middle of it where it is a write, and every third time once more while it
is resumed; resumed again, it must end with the bytes of the unbroken run. Or the disk is full from
the n-th operation on: the run must say so in one sentence, and go on to the same bytes once there
is room.

One process imports everything and forks a child for each run. Needs a POSIX system.

    python tests/faults/training_faults.py --kills 200 --full-disks 60
"""

from __future__ import annotations

import argparse
import builtins
import errno
import hashlib
import io
import itertools
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model": {
        "resolutions": [8, 1],
        "image_channels": 1,
        "width": 4,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "readout": {"width": 4, "middle_width": 4, "blocks": 1},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    "data": "digits",
    "train": {
        "batch_size": 512,
        "steps": 5,
        "learning_rate": 1e-2,
        "log_steps": 1,
        "checkpoint_steps": 1,
        "keep_checkpoints": 2,
        "ema_decay": 0.5,
        "validation_images": 20,
        "sample_epochs": 1,
        "tensorboard": False,
    },
}
#: of the clock, not of the run
TIMES = ("images_per_second", "elapsed")
#: events of `sys.addaudithook` that are file operations; the first argument is the path
EVENTS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.utime"}
    | {"os.truncate", "os.listdir", "os.scandir", "os.link", "os.symlink", "shutil.rmtree"}
)
#: those that a full disk refuses, beside writing and flushing
NEED_ROOM = frozenset({"os.mkdir", "os.rename", "os.link", "os.symlink"})

Fault = Callable[[int, bool], None]


def timed() -> dict[str, Any]:
    """`CONFIG` with a time in place of a number of updates; on `hand` they are as many."""
    train = CONFIG["train"]
    return {**CONFIG, "train": {**train, "steps": None, "minutes": train["steps"] + 1}}


def hand() -> Callable[[], float]:
    """A clock's hand that moves on by a minute whenever it is read."""
    seconds = itertools.count(0, 60)
    return lambda: float(next(seconds))


class FileOperations:
    """Counts this process's file operations within a folder, and lets a fault happen in them.

    Args:
        folder: what lies below it counts.
        fault: called before each operation with its number, from 1, and whether it needs room.
    """

    def __init__(self, folder: Path, fault: Fault) -> None:
        self.folder, self.fault, self.count = str(folder.resolve()), fault, 0

    def install(self) -> None:
        """Watch from here on; it cannot be taken back."""
        import safetensors.numpy

        sys.addaudithook(self._audit)
        self._save, self._open, self._fsync = safetensors.numpy.save_file, io.open, os.fsync
        safetensors.numpy.save_file = self._save_file
        io.open = builtins.open = self._open_file
        os.fsync = self._flush

    def operation(self, needs_room: bool) -> None:
        """Count one."""
        self.count += 1
        self.fault(self.count, needs_room)

    def _is_inside(self, path: Any, folder: Any = -1) -> bool:
        if isinstance(path, int) or (isinstance(folder, int) and folder >= 0):
            number = path if isinstance(path, int) else folder
            try:
                return os.readlink(f"/proc/self/fd/{number}").startswith(self.folder)
            except OSError:
                return False
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not arguments:
            return
        folder = arguments[-1] if event in ("os.mkdir", "os.remove", "os.rmdir") else -1
        if self._is_inside(arguments[0], folder):
            writes = event in NEED_ROOM
            if event == "open" and isinstance(arguments[2], int):
                writes = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
            self.operation(writes)

    def _open_file(self, file: Any, *arguments: Any, **options: Any) -> Any:
        opened = self._open(file, *arguments, **options)
        if opened.writable() and not isinstance(file, int) and self._is_inside(file):
            write = opened.write

            def halves(data: Any) -> int:
                done = write(data[: len(data) // 2])
                opened.flush()
                self.operation(True)
                return done + write(data[len(data) // 2 :])

            opened.write = halves
        return opened

    def _save_file(self, tensors: Any, path: Any, metadata: Any = None) -> None:
        self._save(tensors, path, metadata)
        content = Path(path).read_bytes()
        os.truncate(path, len(content) // 2)
        self.operation(True)
        with self._open(path, "wb") as file:
            file.write(content)

    def _flush(self, number: int) -> None:
        if self._is_inside(number):
            self.operation(True)
        self._fsync(number)


def kill_at(number: int) -> Fault:
    """SIGKILL at that operation."""

    def fault(count: int, needs_room: bool) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return fault


def full_from(number: int) -> Fault:
    """No room from that operation on."""

    def fault(count: int, needs_room: bool) -> None:
        if count >= number and needs_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fault


def nothing(count: int, needs_room: bool) -> None:
    """No fault."""


def child(config: dict[str, Any], output: Path, fault: Fault, resume: bool) -> tuple[int, str]:
    """Train in a forked process.

    Args:
        config: the configuration's plain values.
        output: the run folder.
        fault: what happens to its file operations.
        resume: go on with what is there.

    Returns:
        Its exit code, below 0 for a signal, and what it said: the number of file operations, the
        error's sentence, or a traceback.
    """
    answer = output.with_name("answer.txt")
    answer.write_text("")
    process = os.fork()
    if process == 0:
        code = 70
        try:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            os.dup2(devnull, 2)
            code = _train(config, output, fault, resume, answer)
        except BaseException:
            answer.write_text(traceback.format_exc())
        finally:
            os._exit(code)
    status = os.waitpid(process, 0)[1]
    return os.waitstatus_to_exitcode(status), answer.read_text()


def _train(values: dict[str, Any], output: Path, fault: Fault, resume: bool, answer: Path) -> int:
    from hvae_core.config import parse_config
    from hvae_core.errors import HvaeError
    from hvae_core.runs.clock import Clock
    from hvae_core.training import train

    Clock.__init__.__defaults__ = (hand(),)
    config = parse_config(values)
    operations = FileOperations(output, fault)
    operations.install()
    try:
        train(config, output, resume=resume)
    except HvaeError as error:
        answer.write_text(str(error))
        return 1
    answer.write_text(str(operations.count))
    return 0


def fingerprint(output: Path, pictures: bool = True) -> dict[str, Any]:
    """All of a run folder that does not depend on the clock."""
    found: dict[str, Any] = {}
    for path in sorted(output.rglob("*")):
        name = path.relative_to(output).as_posix()
        if path.is_dir() or name in (".lock", "sessions.jsonl") or path.name == "SHA256SUMS":
            continue
        if name.startswith("samples/") and not pictures:
            continue
        if path.name == "state.json":
            found[name] = _without_times(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [_without_times(json.loads(line)) for line in path.open()]
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _without_times(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in TIMES}


def difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """The first files that differ; empty where none does."""
    names = sorted({*expected, *found})
    return ", ".join([n for n in names if expected.get(n) != found.get(n)][:4])


def places(count: int, total: int) -> list[int]:
    """``count`` numbers from 1 to ``total``: a third at the start, where the run folder comes to
    be, the others evenly spread; all where there are fewer.
    """
    first = min(count, total) // 3
    others = min(count, total) - first
    spread = [total - index * (total - first) // max(1, others) for index in range(others)]
    return [*range(1, first + 1), *reversed(spread)]


class Trainings:
    """Runs under fault, each compared with an unbroken one.

    Args:
        folder: for the runs.
        config: the configuration's plain values; `CONFIG` by default.
    """

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.folder, self.config = folder, config or CONFIG
        unbroken = folder / "unbroken"
        code, said = child(self.config, unbroken, nothing, False)
        if code:
            raise SystemExit(f"The unbroken run failed: {said}")
        self.operations = int(said)
        self.expected = {p: fingerprint(unbroken, p) for p in (True, False)}

    def killed(self, number: int) -> str:
        """Kill a run at an operation, resume it; what is wrong then, or nothing."""
        output = self._fresh()
        code, said = child(self.config, output, kill_at(number), False)
        if code != -signal.SIGKILL:
            return f"it was not killed but ended with {code}: {said}"
        if number % 3 == 0:
            child(self.config, output, kill_at(number // 3), True)
        return self._resumed(output, True)

    def filled(self, number: int) -> str:
        """Let the disk be full from an operation on, then make room; what is wrong, or nothing."""
        output = self._fresh()
        code, said = child(self.config, output, full_from(number), False)
        if code not in (0, 1) or "Traceback" in said:
            return f"it ended with {code}: {said}"
        if code == 1 and "No space left" not in said:
            return f"it did not name the cause: {said}"
        hidden = [path.name for path in output.rglob(".*") if path.name != ".lock"]
        return f"it left {hidden}" if hidden else self._resumed(output, False)

    def _fresh(self) -> Path:
        output = self.folder / "run"
        shutil.rmtree(output, ignore_errors=True)
        return output

    def _resumed(self, output: Path, pictures: bool) -> str:
        code, said = child(self.config, output, nothing, True)
        if code:
            return f"it was not resumed: {said}"
        differing = difference(self.expected[pictures], fingerprint(output, pictures))
        return f"after resuming these differ: {differing}" if differing else ""


def figures(kills: int, full_disks: int) -> Iterator[tuple[str, int, int, list[str]]]:
    """Try the faults on the backend of ``KERAS_BACKEND``.

    Yields:
        What was tried, how many were held, how many were tried, and what went wrong.
    """
    import keras

    backend = keras.config.backend()
    quarters = math.ceil(kills / 4), math.ceil(full_disks / 4)
    for what, config, counts in (
        (backend, CONFIG, (kills, full_disks)),
        (f"{backend}, train.minutes", timed(), quarters),
    ):
        with tempfile.TemporaryDirectory() as folder:
            trainings = Trainings(Path(folder), config)
            total = trainings.operations
            tried = [
                (f"{what}: killed at one of {total} file operations", trainings.killed),
                (f"{what}: disk full from one of them on", trainings.filled),
            ]
            for (name, attempt), count in zip(tried, counts, strict=True):
                results = {number: attempt(number) for number in places(count, total)}
                wrong = [f"operation {n}: {problem}" for n, problem in results.items() if problem]
                if results:
                    yield name, len(results) - len(wrong), len(results), wrong


def print_figures(found: Iterable[tuple[str, int, int, list[str]]]) -> int:
    """Print what was tried, as it comes; 1 if a fault was not held."""
    failed = 0
    for what, held, tried, wrong in found:
        print(f"{what}: {held} of {tried} held", flush=True)
        for problem in wrong:
            print(f"  {problem}", flush=True)
        failed += tried - held
    return min(failed, 1)


def import_all() -> None:
    """What a run imports, so that the children need not."""
    import matplotlib  # noqa: F401
    import sklearn.datasets  # noqa: F401

    import hvae_core.evaluation
    import hvae_core.images.grids
    import hvae_core.training
    import hvae_core.vae  # noqa: F401


def main() -> int:
    """Print the figures; 1 if a fault was not held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--full-disks", type=int, default=60)
    arguments = parser.parse_args()
    import_all()
    return print_figures(figures(arguments.kills, arguments.full_disks))


if __name__ == "__main__":
    sys.exit(main())
