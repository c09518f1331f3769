"""Derivatives, compilation and random numbers on whichever backend is active."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backend import compiled as compiled_for_one_shape

Tensor = Any


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A tensor's values, copied."""
    return np.array(ops.convert_to_numpy(tensor))


def normal(shape: Sequence[int], seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Normal numbers in float32, the same on every backend."""
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def randomise(layer: Any, scale: float, seed: int = 0) -> None:
    """Draw every trainable weight from N(0, scale^2): a fresh layer is often the identity."""
    for index, variable in enumerate(layer.trainable_variables):
        variable.assign(normal(variable.shape, seed=1000 * seed + index, scale=scale))


def need_gradients() -> str:
    """The active backend; the test is skipped where it computes no gradients."""
    backend = keras.config.backend()
    if backend not in ("jax", "tensorflow", "torch"):
        pytest.skip(f"{backend} computes no gradients")
    return backend


def jacobian(function: Callable[[Tensor], Tensor], x: np.ndarray) -> np.ndarray:
    """The Jacobian of a map of vectors at ``x`` [N], by the backend's autodiff: [M, N]."""
    backend = need_gradients()
    if backend == "jax":
        import jax

        return to_numpy(jax.jit(jax.jacrev(function))(ops.convert_to_tensor(x)))
    if backend == "tensorflow":
        import tensorflow as tf

        point = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(point)
            y = function(point)
        return to_numpy(tape.jacobian(y, point, experimental_use_pfor=False))
    import torch

    return to_numpy(torch.autograd.functional.jacobian(function, ops.convert_to_tensor(x)))


def gradients(
    function: Callable[..., Tensor], variables: Sequence[Any], inputs: Sequence[np.ndarray] = ()
) -> list[np.ndarray]:
    """Derivatives of a scalar function of ``inputs``.

    Args:
        function: takes the inputs as tensors.
        variables: Keras variables that it reads.
        inputs: arrays to derive by as well.

    Returns:
        One array for each variable, then one for each input; zeros where nothing depends on it.
    """
    backend = need_gradients()
    points = [ops.convert_to_tensor(np.array(x)) for x in inputs]
    found: Sequence[Any]
    if backend == "jax":
        import jax

        def loss(values: list[Tensor], tensors: list[Tensor]) -> Tensor:
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return function(*tensors)

        of_variables, of_inputs = jax.jit(jax.grad(loss, argnums=(0, 1)))(
            [variable.value for variable in variables], points
        )
        found = [*of_variables, *of_inputs]
    elif backend == "tensorflow":
        import tensorflow as tf

        sources = [*(variable.value for variable in variables), *points]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            y = function(*points)
        found = tape.gradient(y, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    else:
        import torch

        for point in points:
            point.requires_grad_(True)
        sources = [*(variable.value for variable in variables), *points]
        found = torch.autograd.grad(function(*points), sources, allow_unused=True)
        found = [
            torch.zeros_like(source) if gradient is None else gradient
            for source, gradient in zip(sources, found, strict=True)
        ]
    return [to_numpy(gradient) for gradient in found]


def compiled(
    function: Callable[..., Any], variables: Sequence[Any], examples: Sequence[np.ndarray]
) -> Callable[..., Any]:
    """``function`` compiled as the toolkit does it; with an unknown batch size on TensorFlow.

    Args:
        function: of tensors whose first axis is the batch.
        variables: the Keras variables it reads.
        examples: arrays like the arguments.
    """
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in examples]
        return tf.function(function, input_signature=signature)
    return compiled_for_one_shape(function, variables)
