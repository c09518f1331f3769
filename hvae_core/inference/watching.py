"""How far a long computation is, told to whoever waits for it.

What is asked of a model passes several functions before its images are divided into batches, and
none of them has to do with progress: so a listener is not handed down, the loop itself finds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: told what is done and how much there is to do, in the units of the loop that tells it
Listener = Callable[[int, int], None]


@dataclasses.dataclass
class _Watch:
    """A listener, and whether a loop is telling it of its progress."""

    listener: Listener
    is_taken: bool = False


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watch_progress(listener: Listener | None) -> Iterator[None]:
    """Be told how far a computation is, of this thread and within this context.

    Whatever is asked of a model tells it after each batch: sampling, encoding, completing,
    evaluating. What takes several passes over the images begins anew with each::

        with hvae.watch_progress(lambda done, total: print(f"{done} of {total}")):
            latents = model.encode(images)

    Args:
        listener: called with what is done and how much there is to do: images, and where each of
            them takes many draws, draws. None: whoever listens already.
    """
    if listener is None:
        yield
        return
    token = _watch.set(_Watch(listener))
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def counting(total: int) -> Iterator[Callable[[int], None]]:
    """Tell the listener of a loop's progress, unless this loop is a part of one that tells it.

    Args:
        total: how much there is to do.

    Yields:
        A function to call with how much more is done.
    """
    watch = _watch.get()
    if watch is None or watch.is_taken:
        yield _unheard
        return
    listener, done = watch.listener, 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        listener(done, total)

    watch.is_taken = True
    try:
        yield advance
    finally:
        watch.is_taken = False


def _unheard(more: int) -> None:
    """Nobody listens."""
