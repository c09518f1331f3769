"""Hearing a signal at once, also while the main thread is inside a compiler.

Python calls its handlers between two of its own instructions, so that one may wait for minutes
until a compilation has ended. The byte that it writes on a signal's arrival does not wait.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator


@contextlib.contextmanager
def hearing(
    tell: Callable[[int], None], numbers: Collection[int], patience: float = 0.0
) -> Iterator[None]:
    """Call ``tell`` once, from another thread, when a signal has arrived inside the block: with it.

    The signals must have handlers of Python's. Outside the main thread it does nothing.

    Args:
        tell: what to do; it must be quick and must not raise.
        numbers: the signals.
        patience: seconds to wait first; if the block has ended by then, nothing is told.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    ended = threading.Event()

    def listen() -> None:
        while arrived := reader.recv(64):
            if heard := set(arrived) & set(numbers):
                if not ended.wait(patience):
                    tell(max(heard))
                return

    thread = threading.Thread(target=listen, name="hvae-signals", daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        writer.close()
        thread.join(timeout=1.0)
        reader.close()


def say(text: str) -> None:
    """Write a line to stderr, past whatever locks the interrupted code may hold."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), f"\n{text}\n".encode())
