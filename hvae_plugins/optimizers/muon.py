"""Muon for convolutional networks: kernels are matrices from inputs to outputs.

Keras's Muon leaves every weight to Adam that has not two dimensions, which is nearly all of a
convolutional network. Here a kernel [h, w, in, out] is taken as the matrix [h w in, out], as in
Jordan's code; biases, gains, depthwise kernels and the layers that ``exclude_layers`` names (by
default those that read pixels and that give the likelihood its parameters) are Adam's.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any

from hvae_plugins.optimizers.keras_optimizers import KerasOptimizer
from hvae_plugins.optimizers.options import MuonOptions


@functools.cache
def with_kernels_as_matrices(base: Any) -> type:
    """A class of Keras's Muon that takes the kernels of convolutions as matrices."""
    from keras import ops

    class Muon(base):
        """Muon; the momentum of a kernel is made orthogonal as a matrix [h w in, out]."""

        def _should_use_adamw(self, variable: Any) -> bool:
            is_kernel = variable.path.rsplit("/", 1)[-1] == "kernel"
            if not is_kernel or len(variable.shape) < 2:
                return True
            return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

        def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
            """The orthogonal matrix nearest to ``x``, about."""
            shape = tuple(x.shape)
            matrix = ops.reshape(x, (math.prod(shape[:-1]), shape[-1]))
            return ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), shape)

        def lr_adjust(self, x: Any) -> Any:
            """``x`` with the root mean square ``rms_rate`` times the learning rate."""
            if self.rms_rate is None:
                return x
            side = max(math.prod(x.shape[:-1]), x.shape[-1])
            return x * (self.rms_rate * math.sqrt(side))

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
