"""A recorded function as one CUDA graph: its kernels start together, with no Python between them.

The original's architecture is some 20,000 kernels an update, which PyTorch starts one by one.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import keras

_log = logging.getLogger(__name__)

#: calls on the stream that captures, before it does: libraries prepare themselves at the first
WARM_UPS = 3
#: graphs share memory, so that what one gives is copied before another runs
_ONE_AT_A_TIME = threading.Lock()


def launched_at_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """A recorded function, as a CUDA graph from the first call on where that can be.

    Elsewhere it is the function itself: with tensors of a processor among the arguments, with
    ``HVAE_CUDA_GRAPHS=0``, or where an operation cannot be captured.

    Args:
        function: of pytrees of tensors and plain values, always the same shapes and values; gives
            a pytree. It neither draws numbers nor looks at those of a tensor.
    """
    if os.environ.get("HVAE_CUDA_GRAPHS") == "0":
        return function
    chosen: list[Callable[..., Any]] = []

    def call(*inputs: Any) -> Any:
        if not chosen:
            chosen.append(_graph_of(function, inputs) or function)
        return chosen[0](*inputs)

    return call


def _graph_of(function: Callable[..., Any], inputs: Any) -> CudaGraph | None:
    if not _are_on_cuda(_tensors(inputs)):
        return None
    try:
        return CudaGraph(function, inputs)
    except RuntimeError as error:  # an operation that waits for the device, or too little memory
        _log.debug("no CUDA graph: %s", error)
        return None


class CudaGraph:
    """A captured function, with memory of its own for what it reads and gives.

    Args:
        function: see `launched_at_once`.
        inputs: the arguments of a call.

    Raises:
        RuntimeError: it cannot be captured.
    """

    def __init__(self, function: Callable[..., Any], inputs: Any) -> None:
        own = keras.tree.map_structure(lambda x: x.clone() if _is_tensor(x) else x, inputs)
        self._inputs = _tensors(own)
        with _ONE_AT_A_TIME:
            self._replay, self._outputs = captured(function, own)

    def __call__(self, *inputs: Any) -> Any:
        """What the function gives; tensors that no later call changes."""
        import torch

        held = _tensors(self._outputs)
        with _ONE_AT_A_TIME:
            torch._foreach_copy_(self._inputs, _tensors(inputs))
            self._replay()
            given = [torch.empty_like(tensor) for tensor in held]
            torch._foreach_copy_(given, held)
        copies = iter(given)
        leaves = keras.tree.flatten(self._outputs)
        own = [next(copies) if _is_tensor(leaf) else leaf for leaf in leaves]
        return keras.tree.pack_sequence_as(self._outputs, own)


def captured(function: Callable[..., Any], inputs: Any) -> tuple[Callable[[], None], Any]:
    """A function of tensors that stay where they are, captured: its replay, and what that fills."""
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # other threads may go on with the device meanwhile
    with torch.cuda.graph(graph, pool=_memory(), stream=stream, capture_error_mode="thread_local"):
        outputs = function(*inputs)
    return graph.replay, outputs


@functools.cache
def _memory() -> Any:
    """One pool for all graphs."""
    import torch

    return torch.cuda.graph_pool_handle()


def _are_on_cuda(tensors: list[Any]) -> bool:
    return bool(tensors) and all(tensor.is_cuda for tensor in tensors)


def _is_tensor(leaf: Any) -> bool:
    import torch

    return isinstance(leaf, torch.Tensor)


def _tensors(tree: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(tree) if _is_tensor(leaf)]
