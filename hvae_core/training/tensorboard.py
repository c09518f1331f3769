"""TensorBoard event files, written with the tensorboard package alone.

Its own record writer is used, and none of its helpers that would import TensorFlow.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hvae_core.training.callbacks import Callback, Run


def tensorboard_is_installed() -> bool:
    """Whether the package is here; it is not imported."""
    return importlib.util.find_spec("tensorboard") is not None


class TensorBoard(Callback):
    """Writes every number of every record to ``tensorboard/`` in the run folder."""

    def __init__(self) -> None:
        self._file: Any = None

    def start(self, run: Run) -> None:
        """See `Callback.start`. After a resume TensorBoard drops what is made again."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder: Path = run.output / "tensorboard"
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._event: Any = Event
        self._file = (folder / name).open("ab")
        self._writer = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=time.time(), step=run.step + 1, session_log=start))

    def record(self, run: Run, record: Mapping[str, Any]) -> None:
        """See `Callback.record`."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        validation = record.get("validation") or {}
        prefix = "train" if record["event"] == "step" else "epoch"
        scalars = {
            **{f"{prefix}/{key}": value for key, value in flat(record).items()},
            **{f"validation/{key}": value for key, value in flat(validation).items()},
        }
        for key in ("step", "epoch"):
            scalars.pop(f"{prefix}/{key}", None)
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        summary = Summary(value=values)
        self._write(self._event(wall_time=time.time(), step=record["step"], summary=summary))

    def close(self, run: Run) -> None:
        """See `Callback.close`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, event: Any) -> None:
        if self._file is None:
            return
        try:
            self._writer.write(event.SerializeToString())
            self._file.flush()
        except OSError:  # metrics.jsonl has it all; a full disk is met at the next checkpoint
            self._file = None


def flat(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record; those of a list get the key ``name/00`` and so on."""
    numbers: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers[key] = float(value)
        elif isinstance(value, list | tuple):
            numbers |= {f"{key}/{i:02d}": float(v) for i, v in enumerate(value) if v is not None}
    return numbers
