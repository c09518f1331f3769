"""Functions of tensors as compiled programs, and their gradients: what differs by backend.

Everything else is written once, in Keras operations on Keras variables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

from hvae_core.backends.capturing import replayed_later
from hvae_core.backends.compilation_cache import keep_compiled_programs
from hvae_core.backends.devices import replicated, shard_batches
from hvae_core.backends.pieces import InPieces
from hvae_core.interfaces import Tensor


def compiles_programs() -> bool:
    """Whether what `compiled` gives is compiled at its first call; PyTorch runs it as it is."""
    return bool(keras.config.backend() != "torch")


def compiled(function: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
    """``function`` of tensors as one compiled program, without gradients.

    JAX: jitted, with the variables' values as arguments, so that new weights need no new program.
    TensorFlow: a ``tf.function``. PyTorch: eager, without gradients; called often with arguments of
    one shape, its recorded operations. OpenVINO: one compiled model, which gives NumPy arrays.
    Compiled once for each shape of the arguments.

    Args:
        function: pure in its arguments and in ``variables``; returns a pytree of tensors.
        variables: the Keras variables it reads.
    """
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        keep_compiled_programs()

        def pure(values: list[Any], *args: Any) -> Any:
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(*args)

        jitted = jax.jit(pure, out_shardings=replicated())
        return lambda *args: jitted(
            [variable.value for variable in variables], *shard_batches(args)
        )
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True, autograph=False)
    if backend == "torch":
        import torch

        def recorded(values: list[Any], args: Any) -> Any:
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(*args)

        return replayed_later(torch.no_grad()(function), recorded, variables)
    from hvae_core.backends.openvino.tracing import Traced

    return Traced(function, variables)


def value_and_grad(
    function: Callable[[], tuple[Tensor, Any]],
    trainable: Sequence[keras.Variable],
    others: Sequence[keras.Variable] = (),
) -> tuple[Tensor, Any, list[Tensor]]:
    """The value of ``function``, what else it returns, and the gradient to each variable.

    Args:
        function: takes nothing, returns a scalar and a pytree of tensors.
        trainable: the variables to differentiate by; one it does not use gets zeros.
        others: further variables it reads.
    """
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        fixed = [(variable, variable.value) for variable in others]

        def pure(values: list[Any]) -> tuple[Tensor, Any]:
            mapping = [*zip(trainable, values, strict=True), *fixed]
            with keras.StatelessScope(state_mapping=mapping):
                return function()

        values = [variable.value for variable in trainable]
        (loss, aux), gradients = jax.value_and_grad(pure, has_aux=True)(values)
        return loss, aux, gradients
    values = [variable.value for variable in trainable]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            loss, aux = function()
        zero = tf.UnconnectedGradients.ZERO
        return loss, aux, tape.gradient(loss, values, unconnected_gradients=zero)
    import torch

    loss, aux = function()
    raw = torch.autograd.grad(loss, values, allow_unused=True)
    gradients = [
        torch.zeros_like(value) if gradient is None else gradient
        for value, gradient in zip(values, raw, strict=True)
    ]
    detached = keras.tree.map_structure(
        lambda x: x.detach() if isinstance(x, torch.Tensor) else x, aux
    )
    return loss.detach(), detached, gradients


_STAND_INS: ContextVar[tuple[tuple[keras.Variable, Tensor], ...]] = ContextVar(
    "stand_ins", default=()
)


@contextmanager
def standing_in(pairs: Sequence[tuple[keras.Variable, Tensor]]) -> Iterator[None]:
    """Inside, the variables have these values, and gradients go to what they were made of.

    Args:
        pairs: the variables and their values, those of all variables that are read on JAX; without
            any, everything is as it is outside.
    """
    if not pairs:
        yield
        return
    token = _STAND_INS.set(tuple(pairs))
    try:
        with keras.StatelessScope(state_mapping=pairs):
            yield
    finally:
        _STAND_INS.reset(token)


def stand_ins() -> tuple[tuple[keras.Variable, Tensor], ...]:
    """What `standing_in` was given, where it is in force."""
    return _STAND_INS.get()


class Program:
    """A function that reads and assigns Keras variables, compiled.

    On JAX the variables' values live in the program between calls (their buffers are donated, so
    an update needs no second copy); `sync` writes them back. Elsewhere they are always current.

    Args:
        function: takes and returns pytrees of tensors; may assign ``variables``.
        variables: every variable it reads or assigns.
        compile: False runs it eagerly where the backend can.
    """

    def __init__(
        self, function: Callable[..., Any], variables: Sequence[keras.Variable], compile: bool
    ) -> None:
        self._variables = list(variables)
        self._values: list[Any] | None = None
        backend = keras.config.backend()
        self._is_jax = backend == "jax"
        if self._is_jax:
            import jax

            keep_compiled_programs()

            def pure(values: list[Any], *args: Any) -> tuple[Any, list[Any]]:
                mapping = list(zip(self._variables, values, strict=True))
                with keras.StatelessScope(state_mapping=mapping) as scope:
                    out = function(*args)
                return out, [scope.get_current_value(variable) for variable in self._variables]

            if not compile:
                self._call = pure
            elif jax.default_backend() == "cpu" and replicated() is None:
                self._call = InPieces(pure, _options_of_training())
            else:
                self._call = jax.jit(
                    pure,
                    donate_argnums=0,
                    out_shardings=replicated(),
                    compiler_options=_options_of_training(),
                )
        elif backend == "tensorflow" and compile:
            import tensorflow as tf

            # XLA pays on accelerators; on a CPU TensorFlow's own kernels are faster.
            xla = runs_on_accelerator()
            self._call = tf.function(function, jit_compile=xla, autograph=False)
        else:
            self._call = function

    def __call__(self, *args: Any) -> Any:
        """Run it."""
        if not self._is_jax:
            return self._call(*args)
        if self._values is None:
            self._values = [variable.value for variable in self._variables]
        out, self._values = self._call(self._values, *args)
        return out

    def sync(self) -> None:
        """Bring the variables up to date, and let them be changed from outside."""
        if self._values is not None:
            for variable, value in zip(self._variables, self._values, strict=True):
                variable.assign(value)
            self._values = None


def _options_of_training() -> dict[str, int] | None:
    """What XLA is told of an update.

    On a CPU, LLVM's level 1 compiles it an eighth sooner than the default 3 and makes it no slower;
    the convolutions are a library's. The user's own ``XLA_FLAGS`` come first.
    """
    import jax

    level = "xla_backend_optimization_level"
    on_cpu = jax.default_backend() == "cpu"
    return {level: 1} if on_cpu and level not in os.environ.get("XLA_FLAGS", "") else None


def runs_on_accelerator() -> bool:
    """Whether TensorFlow has a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def snapshot(variable: keras.Variable) -> Tensor:
    """The variable's value now, unharmed by a later assignment."""
    value = ops.convert_to_tensor(variable)
    return value if keras.config.backend() == "jax" else ops.copy(value)
