"""Trading time for memory: what a function computed is computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from hvae_core.interfaces import Tensor


def rematerialised(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with only its arguments and results kept for the backward pass.

    Args:
        function: of tensors; returns a pytree of tensors and None. It may read variables.
    """
    if keras.config.backend() == "openvino":  # has no backward pass
        return function

    def call(*args: Tensor) -> Any:
        shape: list[Any] = []

        def tensors(*args: Tensor) -> list[Tensor]:
            shape[:] = [function(*args)]
            # TensorFlow takes no None.
            return [leaf for leaf in keras.tree.flatten(shape[0]) if leaf is not None]

        leaves = iter(keras.remat(tensors)(*args))
        filled = [None if leaf is None else next(leaves) for leaf in keras.tree.flatten(shape[0])]
        return keras.tree.pack_sequence_as(shape[0], filled)

    return call
