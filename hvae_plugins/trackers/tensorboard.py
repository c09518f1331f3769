"""TensorBoard's event files, written by tensorboardX."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.errors import MissingDependencyError
from hvae_core.interfaces import Tracker
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class TensorBoard(Tracker):
    """Writes ``tensorboard/`` in the run folder.

    tensorboardX's events writer is used rather than its `SummaryWriter`, whose thread dies of a
    full disk without a word and then holds up the training.
    """

    def __init__(self, options: Any) -> None:
        if importlib.util.find_spec("tensorboardX") is None:
            raise MissingDependencyError.for_extra(
                "tensorboardX", "tensorboard", "The tracker tensorboard"
            )

    def start(self, config: Mapping[str, Any], name: str, folder: Path, step: int) -> None:
        """See `Tracker.start`. TensorBoard drops the steps that a resumed run makes again."""
        with _without_torch():
            from tensorboardX import summary
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._summary, self._event = summary, Event
        target = folder / "tensorboard"
        target.mkdir(exist_ok=True)
        # The process and the moment tell the sessions of a run apart.
        self._writer = EventsWriter(str(target / "events"), f".{os.getpid()}.{time.time_ns()}")
        start = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=time.time(), step=step + 1, session_log=start))
        # Indented by four, it is shown as it is.
        lines = json.dumps(config, indent=2).splitlines()
        self._add(step, summary.text("config", "\n".join(f"    {line}" for line in lines)))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.scalars`."""
        for name, value in values.items():
            self._add(step, self._summary.scalar(name, value), flush=False)
        self._writer.flush()

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """See `Tracker.image`."""
        self._add(step, self._summary.image(name, image, dataformats="HWC"))

    def finish(self) -> None:
        """See `Tracker.finish`."""
        self._writer.close()

    def _add(self, step: int, summary: Any, flush: bool = True) -> None:
        self._write(self._event(wall_time=time.time(), step=step, summary=summary), flush)

    def _write(self, event: Any, flush: bool = True) -> None:
        self._writer.write_event(event)
        if flush:
            self._writer.flush()


@contextmanager
def _without_torch() -> Iterator[None]:
    """Inside, PyTorch seems not to be installed, unless it is imported already.

    tensorboardX imports it where it can, which takes seconds and is of no use on other backends.
    """
    is_free = "torch" not in sys.modules
    if is_free:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if is_free:
            del sys.modules["torch"]


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the tracker."""
    return ComponentSpec(
        kind="tracker",
        name="tensorboard",
        summary="TensorBoard's event files in the run folder",
        builder=TensorBoard,
    )
