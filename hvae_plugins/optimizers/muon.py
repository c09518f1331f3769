"""Muon for convolutional networks: kernels are matrices from inputs to outputs.

Keras's Muon leaves every weight to Adam that has not two dimensions, which is nearly all of a
convolutional network. Here a kernel [h, w, in, out] is taken as the matrix [h w in, out], as in
Jordan's code; biases, gains, kernels of one input or output, as depthwise ones are, and the layers
that ``exclude_layers`` names (by default those that read pixels and that give the likelihood its
parameters) are Adam's.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

from hvae_plugins.optimizers.keras_optimizers import KerasOptimizer
from hvae_plugins.optimizers.options import MuonOptions


def stack(variables: Sequence[Any]) -> Any:
    """The values of variables of one shape, [N, ...]."""
    from keras import ops

    return ops.stack([variable.value for variable in variables])


def assign_all(variables: Sequence[Any], values: Any) -> None:
    """Give each variable its part of ``values`` [N, ...], on PyTorch in one call."""
    import keras

    parts = keras.ops.unstack(values)
    if keras.config.backend() == "torch":
        import torch

        with torch.no_grad():
            torch._foreach_copy_([variable.value for variable in variables], list(parts))
        return
    for variable, value in zip(variables, parts, strict=True):
        variable.assign(value)


@functools.cache
def with_kernels_as_matrices(base: Any) -> type:
    """A class of Keras's Muon that takes the kernels of convolutions as matrices."""
    from keras import ops

    class Muon(base):
        """Muon; the momentum of a kernel is made orthogonal as a matrix [h w in, out]."""

        def _should_use_adamw(self, variable: Any) -> bool:
            if variable.path.rsplit("/", 1)[-1] != "kernel" or len(variable.shape) < 2:
                return True
            *inputs, outputs = variable.shape
            # A vector has one singular value. A depthwise kernel is [h, w, channels, 1].
            if min(math.prod(inputs), outputs) == 1:
                return True
            return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

        def _backend_update_step(
            self, grads: Any, trainable_variables: Any, learning_rate: Any
        ) -> None:
            """All weights at once: Keras's numbers in a hundredth of its operations."""
            alike: dict[Any, list[tuple[Any, ...]]] = {}
            for gradient, variable in zip(grads, trainable_variables, strict=True):
                index = self._get_variable_index(variable)
                momentum, velocity = self.momentums[index], self.adam_velocities[index]
                key = str(variable.dtype), tuple(variable.shape), velocity is None
                alike.setdefault(key, []).append((gradient, variable, momentum, velocity))
            for (_, _, is_kernel), some in alike.items():
                gradients, variables, momenta, velocities = zip(*some, strict=True)
                gradient, momentum = ops.stack(gradients), stack(momenta)
                if is_kernel:
                    momentum, change = self._orthogonal(gradient, momentum)
                    change = learning_rate * change
                else:
                    rate = learning_rate * self.adam_lr_ratio
                    velocity = stack(velocities)
                    momentum, velocity, change = self._adam(gradient, momentum, velocity, rate)
                    assign_all(velocities, velocity)
                assign_all(momenta, momentum)
                assign_all(variables, stack(variables) - change)

        def _orthogonal(self, gradient: Any, momentum: Any) -> tuple[Any, Any]:
            """The momentum and the step of kernels of one shape [N, ..., in, out]."""
            momentum = momentum + (gradient + momentum * (self.momentum - 1))
            used = gradient + self.momentum * momentum if self.nesterov else momentum
            count, *shape = used.shape
            sides = math.prod(shape[:-1]), shape[-1]
            matrices = ops.reshape(used, (count, *sides))
            step = self.zeropower_via_newtonschulz5(matrices, self.ns_steps)
            if self.rms_rate is not None:  # Keras's lr_adjust, of the matrix
                step = step * (self.rms_rate * math.sqrt(max(sides)))
            return momentum, ops.reshape(step, used.shape)

        def _adam(self, gradient: Any, m: Any, v: Any, learning_rate: Any) -> tuple[Any, Any, Any]:
            """The momentum, the velocity and the step of other weights, as Keras has them."""
            dtype = gradient.dtype
            step = ops.cast(self.iterations + 1, dtype)
            rate = ops.cast(learning_rate, dtype)
            rate = rate * ops.sqrt(1 - ops.power(ops.cast(self.adam_beta_2, dtype), step))
            rate = rate / (1 - ops.power(ops.cast(self.adam_beta_1, dtype), step))
            m = m + (gradient - m) * (1 - self.adam_beta_1)
            v = v + (ops.square(gradient) - v) * (1 - self.adam_beta_2)
            return m, v, m * rate / (ops.sqrt(v) + self.epsilon)

    return Muon


muon = KerasOptimizer(
    name="muon",
    keras_name="Muon",
    summary="Orthogonalized momentum for kernels, Adam for the rest (beta_1, beta_2 and epsilon "
    "are Adam's)",
    options=MuonOptions,
    settings={
        "adam_beta_1": "beta_1",
        "adam_beta_2": "beta_2",
        "epsilon": "epsilon",
        "adam_weight_decay": "weight_decay",
    },
    state_arrays=lambda options, settings: 1,  # two for the few weights that are Adam's
    elementwise=False,
    references=(
        "Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks",
        "Liu et al. 2025, Muon is Scalable for LLM Training, arXiv 2502.16982",
    ),
    subclass=with_kernels_as_matrices,
)
