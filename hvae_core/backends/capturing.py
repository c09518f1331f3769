"""A loss and its gradients as one flat graph of PyTorch's operations, compiled by Inductor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from hvae_core.backends.compiling import value_and_grad
from hvae_core.errors import BackendError, ConfigError
from hvae_core.interfaces import Tensor

#: operations whose numbers a captured graph would not draw anew, by the start of their names
RANDOM = ("bernoulli", "multinomial", "normal", "rand", "native_dropout", "uniform")


class CapturedGradient:
    """The value of a function of tensors, what else it returns, and its gradient by variables.

    Its operations are recorded once for each shape of the arguments, way back included, and
    compiled: Python and Keras take no part in later calls.

    Args:
        function: pure in its arguments and variables; returns a scalar and a pytree of tensors. It
            must neither draw numbers nor look at those of a tensor.
        trainable: the variables to differentiate by; one it does not use gets zeros.
        others: further variables it reads.
        compile_graph: makes a callable of a recorded graph; None: Inductor.
    """

    def __init__(
        self,
        function: Callable[..., tuple[Tensor, Any]],
        trainable: Sequence[keras.Variable],
        others: Sequence[keras.Variable] = (),
        compile_graph: Callable[[Any], Callable[..., Any]] | None = None,
    ) -> None:
        self.function = function
        self.trainable, self.others = list(trainable), list(others)
        self._compile = compile_graph or with_inductor
        self._programs: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> tuple[Tensor, Any, list[Tensor]]:
        """Run it.

        Raises:
            ConfigError: the function cannot be captured.
            BackendError: there is no compiler.
        """
        import torch

        inputs = (
            [variable.value.detach() for variable in self.trainable],
            [variable.value.detach() for variable in self.others],
            args,
        )
        key = tuple((leaf.shape, leaf.dtype) for leaf in keras.tree.flatten(args))
        with torch.no_grad():
            if key not in self._programs:
                self._programs[key] = self._compile(self._captured(*inputs))
            loss, aux, gradients = self._programs[key](*inputs)
        return loss, aux, list(gradients)

    def _captured(self, *inputs: Any) -> Any:
        """The operations as a graph."""
        from torch._subclasses.fake_tensor import DataDependentOutputException
        from torch.fx.experimental.proxy_tensor import make_fx
        from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

        def pure(values: list[Any], others: list[Any], args: Any) -> Any:
            return self._pure(values, others, args)  # a method's own argument would be counted

        try:
            # numbers are not computed here, so that a look at one is an error
            graph = make_fx(pure, tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
        except (DataDependentOutputException, GuardOnDataDependentSymNode) as error:
            raise _refusal("looks at the numbers of a tensor") from error
        graph.graph.eliminate_dead_code()
        names = [getattr(node.target, "__name__", "") for node in graph.graph.nodes]
        drawn = next((name for name in names if name.startswith(RANDOM)), None)
        if drawn is not None:
            raise _refusal(f"draws random numbers of its own ({drawn})")
        graph.recompile()
        return graph

    def _pure(self, values: list[Any], others: list[Any], args: Any) -> Any:
        import torch

        leaves = [value.detach().requires_grad_() for value in values]
        mapping = [
            *zip(self.trainable, leaves, strict=True),
            *zip(self.others, others, strict=True),
        ]
        with torch.enable_grad(), keras.StatelessScope(state_mapping=mapping):
            return value_and_grad(lambda: self.function(*args), self.trainable)


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


def _refusal(what: str) -> ConfigError:
    return ConfigError(
        f"train.compile is inductor, but a component of this model {what}, which a captured graph "
        "cannot.",
        "Set train.compile to true.",
    )
