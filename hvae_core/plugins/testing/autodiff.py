"""Jacobians on the active backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from hvae_core.backends.compiling import compiled
from hvae_core.interfaces import Tensor


def jacobian_of(
    function: Callable[..., Tensor], variables: Sequence[keras.Variable]
) -> Callable[..., np.ndarray]:
    """The function that takes Jacobians of ``function`` to its first argument.

    Compiled once, where the backend compiles, for all arguments of the same shapes and all values
    of the variables.

    Args:
        function: of tensors; m numbers in the first give n numbers, of any shape.
        variables: the Keras variables it reads.

    Returns:
        A function of the same arguments, as arrays, that gives the Jacobian [n, m], float64.
    """
    backend = keras.config.backend()
    rows: Callable[..., Tensor]

    def flat(x: Tensor, *given: Tensor) -> Tensor:
        return ops.reshape(function(x, *given), (-1,))

    if backend == "jax":
        import jax

        def pure(values: list[Tensor], *args: Tensor) -> Tensor:
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return flat(*args)

        # At level 0, which makes tests short, XLA's gradients may be off by 1e-3.
        options = {"xla_backend_optimization_level": 1}
        jitted = jax.jit(jax.jacrev(pure, argnums=1), compiler_options=options)

        def by_program(*args: Tensor) -> Tensor:
            return jitted([variable.value for variable in variables], *args)

        rows = by_program
    elif backend == "tensorflow":
        import tensorflow as tf

        def by_tape(x: Tensor, *given: Tensor) -> Tensor:
            # Without vectorisation, which some operations lack; that needs a persistent tape.
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                value = flat(x, *given)
            return tape.jacobian(value, x, experimental_use_pfor=False)

        rows = compiled(by_tape, variables)
    elif backend == "torch":
        import torch

        def by_graph(x: Tensor, *given: Tensor) -> Tensor:
            return torch.autograd.functional.jacobian(lambda value: flat(value, *given), x)

        rows = by_graph
    else:
        raise NotImplementedError(f"{backend} has no gradients")

    def taken(*arrays: np.ndarray) -> np.ndarray:
        result = rows(*(ops.convert_to_tensor(array) for array in arrays))
        matrix = np.asarray(ops.convert_to_numpy(result), np.float64)
        return matrix.reshape(len(matrix), -1)

    return taken
