"""What an update does to all weights at once: what differs by backend.

PyTorch runs operation by operation, so that one call for all tensors pays; the others compile.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import keras
from keras import ops

from hvae_core.backends.compiling import snapshot
from hvae_core.backends.pieces import parts
from hvae_core.interfaces import Tensor


def global_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all tensors together, float32."""
    if keras.config.backend() == "torch":
        import torch

        norms = torch._foreach_norm([tensor.float() for tensor in tensors])
        return torch.linalg.vector_norm(torch.stack(norms))
    squares = [ops.sum(ops.square(ops.cast(tensor, "float32"))) for tensor in tensors]
    return ops.sqrt(ops.sum(ops.stack(squares)))


def scaled(tensors: Sequence[Tensor], factor: Tensor) -> list[Tensor]:
    """All tensors times one number."""
    if keras.config.backend() == "torch":
        import torch

        return list(torch._foreach_mul(list(tensors), factor))
    return [tensor * ops.cast(factor, tensor.dtype) for tensor in tensors]


def split_vector(vector: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """The parts of a vector, one operation; its gradient is one as well."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return list(tf.split(vector, list(sizes)))
    if backend == "torch":
        import torch

        return list(torch.split(vector, list(sizes)))
    import jax

    def split(vector: Tensor) -> tuple[Tensor, ...]:
        return tuple(ops.split(vector, list(itertools.accumulate(sizes))[:-1]))

    if jax.default_backend() != "cpu":
        return list(split(vector))
    # XLA would fuse each part into whatever reads it, and compile equal operations anew for each
    # place in the vector: two to three times as long in all. It does not fuse through a choice,
    # though both are the same; barriers it takes out before it fuses.
    return list(parts(lambda given: jax.lax.cond(given[0] < 0, split, split, given))(vector))


def average_into(
    averages: Sequence[keras.Variable], values: Sequence[keras.Variable], decay: Tensor | float
) -> None:
    """``average <- decay * average + (1 - decay) * value`` for each pair."""
    if keras.config.backend() == "torch":
        import torch

        with torch.no_grad():
            torch._foreach_lerp_(
                [average.value for average in averages],
                [value.value for value in values],
                1.0 - float(decay),
            )
        return
    for average, value in zip(averages, values, strict=True):
        old = ops.convert_to_tensor(average)
        average.assign(old + (1.0 - decay) * (ops.convert_to_tensor(value) - old))


def apply_if(
    accept: Tensor, update: Callable[[], None], variables: Sequence[keras.Variable]
) -> None:
    """Call ``update``; unless ``accept`` holds, the variables it changes stay as they were.

    Args:
        accept: a boolean scalar.
        update: changes ``variables`` and nothing else.
        variables: Keras variables.
    """
    if keras.config.backend() == "torch":
        import torch

        # Asking costs one number's transfer and saves a copy of all variables.
        if bool(accept):
            with torch.no_grad():  # not all of Keras's optimizers see to it themselves
                update()
        return
    before = [snapshot(variable) for variable in variables]
    update()
    for variable, old in zip(variables, before, strict=True):
        variable.assign(ops.where(accept, ops.convert_to_tensor(variable), old))
