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
    """A listener, whether a loop is telling it of its progress, and whether it has gone."""

    listener: Listener
    is_taken: bool = False
    has_ended: bool = False


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watch_progress(listener: Listener | None) -> Iterator[None]:
    """Be told how far a computation is, of this thread and within this context.

    Whatever is asked of a model tells it at its start and after each batch: sampling, encoding,
    completing, evaluating. What takes several passes over the images begins anew with each::

        with hvae.watch_progress(lambda done, total: print(f"{done} of {total}")):
            latents = model.encode(images)

    Args:
        listener: called with what is done, 0 where a pass begins, and how much there is to do:
            images, and where each of them takes many draws, draws. None: whoever listens already.
    """
    if listener is None:
        yield
        return
    watch = _Watch(listener)
    token = _watch.set(watch)
    try:
        yield
    finally:
        watch.has_ended = True  # a loop that is gone on with later tells it no more
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
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if not watch.has_ended:
            watch.listener(done, total)

    watch.is_taken = True
    try:
        advance(0)
        yield advance
    finally:
        watch.is_taken = False


def _unheard(more: int) -> None:
    """Nobody listens."""
