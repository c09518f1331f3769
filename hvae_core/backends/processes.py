"""Several processes that train one model together (JAX, PyTorch). Imports Keras on use."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import BackendError, TrainingError

if TYPE_CHECKING:
    from hvae_core.interfaces import Tensor


def join_processes(
    coordinator: str | None = None, processes: int | None = None, index: int | None = None
) -> None:
    """Make this process one of several that train together; before any computation.

    Args:
        coordinator: ``host:port`` where process 0 listens; None where a launcher tells all of it:
            SLURM's or Open MPI's to JAX, torchrun to PyTorch.
        processes: how many there are.
        index: which of them this one is, from 0.

    Raises:
        BackendError: the backend is neither JAX nor PyTorch, or the processes do not find each
            other.
    """
    import keras

    backend = keras.config.backend()
    join = {"jax": _join_jax, "torch": _join_torch}.get(backend)
    if join is None:
        raise BackendError(
            f"Several processes train together on JAX and on PyTorch, not on {backend}.",
            "Choose one with: hvae --backend jax, or --backend torch",
        )
    try:
        join(coordinator, processes, index)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BackendError(
            f"The processes did not find each other: {reason.rstrip('.')}.",
            "Give --coordinator HOST:PORT, --processes and --process-index to each of them.",
        ) from error


def _join_jax(coordinator: str | None, processes: int | None, index: int | None) -> None:
    import jax

    jax.distributed.initialize(coordinator, processes, index)


def _join_torch(coordinator: str | None, processes: int | None, index: int | None) -> None:
    import torch
    from torch import distributed

    through = "nccl" if torch.cuda.is_available() else "gloo"
    if coordinator is None:
        distributed.init_process_group(through)
    else:
        distributed.init_process_group(
            through,
            init_method=f"tcp://{coordinator}",
            world_size=-1 if processes is None else processes,
            rank=-1 if index is None else index,
        )
    if torch.cuda.is_available():  # what crosses between processes lies on a device of its own
        torch.cuda.set_device(place_on_machine() % torch.cuda.device_count())
    atexit.register(_leave_torch)


def _leave_torch() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def torchrun_started_several() -> bool:
    """Whether torchrun started this process as one of several."""
    started = "TORCHELASTIC_RUN_ID" in os.environ
    return started and int(os.environ.get("WORLD_SIZE", "1")) > 1


def place_on_machine() -> int:
    """Which of its machine's processes this is, as torchrun tells; else the process's number."""
    return int(os.environ.get("LOCAL_RANK", process_index()))


def process_index() -> int:
    """Which of the processes this is; 0 keeps the records and the checkpoints."""
    return _number("process_index", "get_rank", 0)


def process_count() -> int:
    """How many processes train together."""
    return _number("process_count", "get_world_size", 1)


def _number(of_jax: str, of_torch: str, alone: int) -> int:
    import keras

    backend = keras.config.backend()
    if backend == "jax":
        import jax

        return int(getattr(jax, of_jax)())
    if backend == "torch":
        from torch import distributed

        if distributed.is_available() and distributed.is_initialized():
            return int(getattr(distributed, of_torch)())
    return alone


def divides_rows() -> bool:
    """Whether each process computes with rows of its own, which it has to take: on PyTorch."""
    import keras

    return process_count() > 1 and keras.config.backend() == "torch"


def own_rows(rows: Any, groups: int) -> Any:
    """This process's rows of a batch that all processes hold, where it has to take them.

    Args:
        rows: [B, ...], an array or a tensor.
        groups: so many equal parts follow one another in the batch; of each the process has its
            share, so that a part of the batch is a part of its rows.

    Returns:
        [B / processes, ...]; ``rows`` where JAX divides them or there is one process.
    """
    if not divides_rows():
        return rows
    rest = rows.shape[1:]
    divided = rows.reshape(groups, process_count(), -1, *rest)
    return divided[:, process_index()].reshape(-1, *rest)


def mean_over_processes(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The mean of each tensor over the processes that have rows of their own, no gradient.

    All of them have to ask, and get the same numbers bit for bit. The tensors cross as one vector.
    """
    if not divides_rows():
        return list(tensors)
    import torch
    from torch import distributed

    with torch.no_grad():
        shapes = [tensor.shape for tensor in tensors]
        is_double = any(tensor.dtype == torch.float64 for tensor in tensors)
        dtype = torch.float64 if is_double else torch.float32
        flat = torch.cat([tensor.detach().to(dtype).reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat / process_count(), [shape.numel() for shape in shapes])
        return [
            part.reshape(shape).to(tensor.dtype)
            for part, shape, tensor in zip(parts, shapes, tensors, strict=True)
        ]


def in_each_process(number: float) -> list[float]:
    """The ``number`` of each process; all of them have to ask."""
    if process_count() == 1:
        return [number]
    if divides_rows():
        import keras
        from torch import distributed

        own = keras.ops.convert_to_tensor(np.float32(number))
        all_of_them = [keras.ops.zeros_like(own) for _ in range(process_count())]
        distributed.all_gather(all_of_them, own)
        return [float(of_one) for of_one in all_of_them]
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
