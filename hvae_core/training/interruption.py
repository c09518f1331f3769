"""Ending a run at a good moment when it is asked to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import FrameType
from typing import TypeVar

from hvae_core.files.signals import hearing, say

Item = TypeVar("Item")
#: seconds that a run has to end by itself before it is ended; only where nothing is lost by it
GRACE = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptedRun(KeyboardInterrupt):
    """A run was asked to stop; its last update is in a checkpoint (exit code 130)."""


class Interruption:
    """Notes SIGINT and SIGTERM inside a ``with`` block and says so at once; a second one stops.

    Outside the main thread, where Python allows no signal handlers, it does nothing.

    While a program is compiled, Python cannot act on a signal, and that may take minutes. So a
    SIGTERM before the first update, when nothing is lost by it, ends the process from another
    thread, with exit code 130. A SIGINT does not: the process may be someone's notebook.

    Args:
        tell: called with the sentence that says it, from another thread.
        loses_nothing: whether the process may be ended as it is.
    """

    def __init__(
        self, tell: Callable[[str], None] = say, loses_nothing: Callable[[], bool] = bool
    ) -> None:
        self.requested = False
        self._tell, self._loses_nothing = tell, loses_nothing
        self._left = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            with ExitStack() as stack:
                for number in _SIGNALS:
                    stack.callback(signal.signal, number, signal.signal(number, self._handle))
                stack.enter_context(hearing(self._heard, _SIGNALS))
                self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._left.set()
        self._stack.close()

    def _heard(self, number: int) -> None:
        if number == signal.SIGTERM and self._loses_nothing():
            if not self._left.wait(GRACE) and self._loses_nothing():
                self._tell("Terminated before the first update: nothing is lost, see --resume.")
                os._exit(130)
            return
        self._tell(
            "Interrupted: the update under way, or the compilation before it, is finished and the "
            "run kept. Ctrl-C again stops without it, Ctrl-\\ at once."
        )

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
