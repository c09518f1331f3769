"""Several processes that train one model together (JAX). Imports Keras on use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from hvae_core.errors import BackendError, TrainingError


def join_processes(
    coordinator: str | None = None, processes: int | None = None, index: int | None = None
) -> None:
    """Make this process one of several that train together (JAX); before any computation.

    Args:
        coordinator: ``host:port`` of process 0; None where a cluster's launcher, such as SLURM's
            or Open MPI's, tells JAX all of it.
        processes: how many there are.
        index: which of them this one is, from 0.

    Raises:
        BackendError: the backend is not JAX, or the processes do not find each other.
    """
    import keras

    if keras.config.backend() != "jax":
        raise BackendError(
            f"Several processes train together on JAX alone, not on {keras.config.backend()}.",
            "Choose it with: hvae --backend jax",
        )
    import jax

    try:
        jax.distributed.initialize(coordinator, processes, index)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BackendError(
            f"The processes did not find each other: {reason.rstrip('.')}.",
            "Give --coordinator HOST:PORT, --processes and --process-index to each of them.",
        ) from error


def process_index() -> int:
    """Which of the processes this is; 0 keeps the records and the checkpoints."""
    return _jax_number("process_index", 0)


def process_count() -> int:
    """How many processes train together."""
    return _jax_number("process_count", 1)


def _jax_number(name: str, elsewhere: int) -> int:
    import keras

    if keras.config.backend() != "jax":
        return elsewhere
    import jax

    return int(getattr(jax, name)())


def in_each_process(number: float) -> list[float]:
    """The ``number`` of each process; all of them have to ask."""
    if process_count() == 1:
        return [number]
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(np.float32(number))).tolist()


def any_process(flag: bool) -> bool:
    """Whether ``flag`` is set in any of the processes; all of them have to ask."""
    return any(in_each_process(flag))


@contextmanager
def all_or_none() -> Iterator[None]:
    """A block that, if it fails in one process, fails in all; no computation belongs in it."""
    try:
        yield
    except BaseException:
        any_process(True)
        raise
    if any_process(False):
        raise TrainingError(
            "Another of the processes that train together could not start.",
            "Its own message says why.",
        )
