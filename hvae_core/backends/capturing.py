"""A function of tensors as one flat graph of PyTorch's operations, replayed or compiled.

Recorded once for each shape of the arguments; Python and Keras take no part in later calls. The
operations are those that ran before, one after the other, so that the numbers keep their bits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from hvae_core.backends.cuda_graphs import launched_at_once
from hvae_core.errors import BackendError

_log = logging.getLogger(__name__)

#: calls of one shape from which recording a function, some seconds of a core, pays
CALLS_BEFORE_RECORDING = 50
#: operations whose numbers a captured graph would not draw anew, by the start of their names
RANDOM = ("bernoulli", "multinomial", "normal", "rand", "native_dropout", "uniform")


class NotCapturedError(Exception):
    """A function cannot be recorded; its text says what the function does, as a verb phrase."""


class Captured:
    """A function of tensors whose recorded operations take its place.

    Args:
        function: of the variables' values and of the tuple of arguments, a pytree of tensors;
            returns such a pytree. Pure: recorded numbers do not change.
        variables: those that it reads.
        compile_graph: makes a callable of a recorded graph.
    """

    def __init__(
        self,
        function: Callable[[list[Any], Any], Any],
        variables: Sequence[keras.Variable],
        compile_graph: Callable[[Any], Callable[..., Any]],
    ) -> None:
        self._function, self._variables = function, list(variables)
        self._compile = compile_graph
        self._programs: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """Run it, recorded first if these shapes are new.

        Raises:
            NotCapturedError: it looks at the numbers of a tensor, or draws some.
        """
        return self.run(shapes_of(args), args)

    def run(self, key: Any, args: Any) -> Any:
        """As a call, where `shapes_of` the arguments is known."""
        import torch

        inputs = ([variable.value.detach() for variable in self._variables], args)
        with torch.no_grad():
            if key not in self._programs:
                self._programs[key] = self._compile(self._recorded(*inputs))
            return self._programs[key](*inputs)

    def _recorded(self, *inputs: Any) -> Any:
        """The operations as a graph."""
        from torch._subclasses.fake_tensor import DataDependentOutputException
        from torch.fx.experimental.proxy_tensor import make_fx
        from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

        try:
            # numbers are not computed here, so that a look at one is an error
            record = make_fx(self._function, tracing_mode="fake", _allow_non_fake_inputs=True)
            graph = record(*inputs)
        except (DataDependentOutputException, GuardOnDataDependentSymNode) as error:
            raise NotCapturedError("looks at the numbers of a tensor") from error
        graph.graph.eliminate_dead_code()
        names = [getattr(node.target, "__name__", "") for node in graph.graph.nodes]
        drawn = next((name for name in names if name.startswith(RANDOM)), None)
        if drawn is not None:
            raise NotCapturedError(f"draws random numbers of its own ({drawn})")
        _without_detaching(graph)
        graph.recompile()
        return graph


class CapturedLater:
    """A function run as it is, until it has been called so often that recording it pays.

    Its replay takes over if it gives what the function gives; what cannot be recorded goes on as it
    is.

    Args:
        as_it_is: the function; a pytree of tensors, arrays and plain values gives one of tensors.
        captured: the same function.
        calls: of one shape of the arguments, before they are recorded.
    """

    def __init__(self, as_it_is: Callable[..., Any], captured: Captured, calls: int) -> None:
        self._as_it_is, self._captured, self._calls = as_it_is, captured, calls
        self._counts: dict[Any, int] = {}
        self._replayed: dict[Any, bool] = {}
        self._recording = threading.Lock()

    def __call__(self, *args: Any) -> Any:
        """Run it, with arrays as tensors, as every compiler takes them."""
        args = _as_tensors(args)
        key = shapes_of(args)
        if self._replayed.get(key):
            return self._captured.run(key, args)
        out = self._as_it_is(*args)
        if key is not None and key not in self._replayed:
            self._count(key, args, out)
        return out

    def _count(self, key: Any, args: Any, out: Any) -> None:
        """A call that gave ``out``; after so many, whether a replay gives it."""
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= self._calls or not self._recording.acquire(blocking=False):
            return
        try:
            found = keras.tree.flatten(self._captured.run(key, args))
            pairs = zip(keras.tree.flatten(out), found, strict=True)
            self._replayed[key] = all(_agree(wanted, given) for wanted, given in pairs)
        except Exception as error:  # whatever a component does, it has just worked as it is
            _log.debug("not recorded: %s", error)
            self._replayed[key] = False
        finally:
            self._recording.release()


def replayed_later(
    as_it_is: Callable[..., Any],
    function: Callable[[list[Any], Any], Any],
    variables: Sequence[keras.Variable],
) -> CapturedLater:
    """A function of tensors, and from the record of its operations once it is called often.

    Args:
        as_it_is: the function, of its arguments.
        function: the same, of the variables' values and the tuple of arguments, see `Captured`.
        variables: those that it reads.
    """
    captured = Captured(function, variables, launched_at_once)
    return CapturedLater(as_it_is, captured, CALLS_BEFORE_RECORDING)


def shapes_of(args: Any) -> Any:
    """What a recorded graph depends on: shapes and types of arrays, and plain values.

    None if there is something else among the arguments.
    """
    import torch

    found: list[Any] = [repr(keras.tree.map_structure(lambda leaf: None, args))]
    for leaf in keras.tree.flatten(args):
        if isinstance(leaf, torch.Tensor | np.ndarray):
            device = leaf.device if isinstance(leaf, torch.Tensor) else None
            found.append((tuple(leaf.shape), leaf.dtype, device))
        elif leaf is None or isinstance(leaf, bool | int | float | str):
            found.append((type(leaf), leaf))
        else:
            return None
    return tuple(found)


def with_inductor(graph: Any) -> Callable[..., Any]:
    """A recorded graph, compiled by Inductor at its first call.

    Raises:
        BackendError: there is no C++ compiler, or Inductor fails in another way.
    """
    import torch
    from torch._inductor.exc import InvalidCxxCompiler

    compiled = torch.compile(graph, fullgraph=True, dynamic=False)

    def call(*inputs: Any) -> Any:
        try:
            return compiled(*inputs)
        except (InvalidCxxCompiler, torch._dynamo.exc.BackendCompilerFailed) as error:
            reason = str(error).strip().splitlines()[0]
            cause = getattr(error, "inner_exception", error)
            compiler = "Install a C++ compiler such as g++, or set"
            raise BackendError(
                f"Inductor could not compile the training step: {reason}",
                f"{compiler if isinstance(cause, InvalidCxxCompiler) else 'Set'} "
                "train.compile to true.",
            ) from error

    return call


def _without_detaching(graph: Any) -> None:
    """Nothing is differentiated in a replay, so that a detached tensor is the tensor."""
    import torch

    for node in graph.graph.nodes:
        if node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)


def _as_tensors(args: Any) -> Any:
    """Arrays as tensors: a sum of an array and a tensor fails, and a record would keep an array."""
    return keras.tree.map_structure(
        lambda leaf: ops.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf, args
    )


def _agree(wanted: Any, found: Any) -> bool:
    """Whether a replayed result is what it replaces, to what sums in another order may change."""
    import torch

    if not isinstance(wanted, torch.Tensor) or not isinstance(found, torch.Tensor):
        return wanted is found or (isinstance(wanted, bool | int | float) and wanted == found)
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        return False
    if not wanted.is_floating_point() or not wanted.numel():
        return torch.equal(wanted, found)
    finite = wanted[wanted.isfinite()].abs()
    largest = float(finite.max()) if len(finite) else 0.0
    return torch.allclose(wanted, found, rtol=1e-3, atol=1e-3 * largest, equal_nan=True)
