"""Ending a run at a good moment when it is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

Item = TypeVar("Item")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptedRun(KeyboardInterrupt):
    """A run was asked to stop; its last update is in a checkpoint (exit code 130)."""


class Interruption:
    """Notes SIGINT and SIGTERM inside a ``with`` block; a second one stops at once.

    Outside the main thread, where Python allows no signal handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def watch(
        self, items: Iterable[Item], agree: Callable[[bool], bool] = bool, every: int = 1
    ) -> Iterator[Item]:
        """``items`` until a stop is requested; then `InterruptedRun` is raised.

        Args:
            items: passed on.
            agree: makes the processes that train together stop at the same item.
            every: so many items it is asked once.
        """
        for number, item in enumerate(items):
            if number % every == 0 and agree(self.requested):
                raise InterruptedRun("interrupted")
            yield item
