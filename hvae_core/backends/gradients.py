"""The gradient of a function of tensors, as a training step takes it: recorded on PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras

from hvae_core.backends.capturing import (
    Captured,
    NotCapturedError,
    replayed_later,
    with_inductor,
)
from hvae_core.backends.compiling import value_and_grad
from hvae_core.errors import ConfigError
from hvae_core.interfaces import Tensor


def gradient_of(
    function: Callable[..., tuple[Tensor, Any]],
    trainable: Sequence[keras.Variable],
    others: Sequence[keras.Variable] = (),
    *,
    record: Literal["replay", "inductor"] | None = None,
) -> Callable[..., tuple[Tensor, Any, list[Tensor]]]:
    """`value_and_grad` of a function of tensors, as a function of these.

    Args:
        function: pure in its arguments and variables; returns a scalar and a pytree of tensors.
        trainable: the variables to differentiate by; one it does not use gets zeros.
        others: further variables it reads.
        record: on PyTorch, its operations are recorded once, way back included. ``replay``: and
            replayed, after `capturing.CALLS_BEFORE_RECORDING` calls and if they can be.
            ``inductor``: and compiled by Inductor, at the first call. A call then raises a
            `ConfigError` if the function cannot be recorded, as it draws numbers or looks at those
            of a tensor, and a `BackendError` if there is no compiler.
    """

    def as_it_is(*args: Any) -> tuple[Tensor, Any, list[Tensor]]:
        return value_and_grad(lambda: function(*args), trainable, others)

    if record is None:
        return as_it_is

    def recorded(values: list[Any], args: Any) -> tuple[Tensor, Any, list[Tensor]]:
        import torch

        leaves = [value.detach().requires_grad_() for value in values[: len(trainable)]]
        mapping = list(
            zip([*trainable, *others], [*leaves, *values[len(trainable) :]], strict=True)
        )
        with torch.enable_grad(), keras.StatelessScope(state_mapping=mapping):
            return value_and_grad(lambda: function(*args), trainable)

    variables = [*trainable, *others]
    if record == "replay":
        return replayed_later(as_it_is, recorded, variables)
    compiled_graph = Captured(recorded, variables, with_inductor)

    def call(*args: Any) -> tuple[Tensor, Any, list[Tensor]]:
        try:
            return compiled_graph(*args)
        except NotCapturedError as error:
            raise ConfigError(
                f"train.compile is inductor, but a component of this model {error}, which a "
                "captured graph cannot.",
                "Set train.compile to true.",
            ) from error

    return call
