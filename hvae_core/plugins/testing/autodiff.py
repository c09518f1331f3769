"""Jacobians on the active backend."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Tensor


def jacobian(function: Callable[[Tensor], Tensor], x: np.ndarray) -> np.ndarray:
    """The Jacobian [n, m] of ``function`` at ``x``, both sides flattened.

    Args:
        function: m numbers to n numbers, of any shape.
        x: where to take it, float32.
    """
    backend = keras.config.backend()
    start = ops.convert_to_tensor(x)

    def flat(values: Tensor) -> Tensor:
        return ops.reshape(function(ops.reshape(values, x.shape)), (-1,))

    start = ops.reshape(start, (-1,))
    if backend == "jax":
        import jax

        result = jax.jit(jax.jacrev(flat))(start)
    elif backend == "tensorflow":
        import tensorflow as tf

        @tf.function
        def rows(start: Tensor) -> Tensor:
            # Without vectorisation, which some operations lack; that needs a persistent tape.
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(start)
                value = flat(start)
            return tape.jacobian(value, start, experimental_use_pfor=False)

        result = rows(start)
    elif backend == "torch":
        import torch

        result = torch.autograd.functional.jacobian(flat, start)
    else:
        raise NotImplementedError(f"{backend} has no gradients")
    return np.asarray(ops.convert_to_numpy(result), np.float64)
