"""Trading time for memory: what a function computed is computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from hvae_core.backends.compiling import stand_ins, standing_in
from hvae_core.interfaces import Tensor


def rematerialised(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with only its arguments and results kept for the backward pass.

    Args:
        function: a layer or a method of one, of tensors and None; returns a pytree of them. It may
            read the layer's variables.
    """
    if keras.config.backend() == "openvino":  # has no backward pass
        return function

    def call(*args: Tensor | None) -> Any:
        shape: list[Any] = []
        weights, values, others = _handed_over(function)
        # TensorFlow takes no None, as an argument or as a result.
        known = [arg for arg in args if arg is not None]

        def tensors(*given: Tensor) -> list[Tensor]:
            with standing_in([*zip(weights, given[len(known) :], strict=True), *others]):
                shape[:] = [function(*_filled(args, given))]
            return [leaf for leaf in keras.tree.flatten(shape[0]) if leaf is not None]

        leaves = keras.remat(tensors)(*known, *values)
        filled = _filled(keras.tree.flatten(shape[0]), leaves)
        return keras.tree.pack_sequence_as(shape[0], filled)

    return call


def _filled(pattern: Sequence[Any], tensors: Sequence[Tensor]) -> list[Any]:
    """The first of the tensors, with None where the pattern has it."""
    following = iter(tensors)
    return [None if entry is None else next(following) for entry in pattern]


def _handed_over(function: Any) -> tuple[list[Any], list[Tensor], list[tuple[Any, Tensor]]]:
    """A layer's weights for which tensors stand in, these, and all others with theirs.

    TensorFlow finds the gradients of variables and of arguments, not of other tensors.
    """
    if keras.config.backend() != "tensorflow" or not stand_ins():
        return [], [], []
    own = {id(weight) for weight in getattr(function, "__self__", function).weights}
    inside = [pair for pair in stand_ins() if id(pair[0]) in own]
    others = [pair for pair in stand_ins() if id(pair[0]) not in own]
    return [weight for weight, _ in inside], [value for _, value in inside], others
