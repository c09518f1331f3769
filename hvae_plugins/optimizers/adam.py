"""Adam and AdamW with the paper's epsilon.

Keras adds epsilon to the root of the second moment before its bias is corrected; the paper's
algorithm 1 (Kingma & Ba 2015), PyTorch and the original VDVAE after it.
"""

from __future__ import annotations

import functools
from typing import Any

from hvae_plugins.optimizers.keras_optimizers import ADAM, KerasOptimizer
from hvae_plugins.optimizers.options import AdamOptions


@functools.cache
def with_the_paper_s_epsilon(base: Any) -> type:
    """A class of Keras's Adam whose epsilon is added after the correction of the bias."""
    import keras
    from keras import ops

    class Adam(base):
        """Adam as in algorithm 1 of Kingma & Ba 2015."""

        epsilon: Any

        def _backend_update_step(
            self, grads: Any, trainable_variables: Any, learning_rate: Any
        ) -> None:
            kept = self.epsilon
            count = ops.cast(self.iterations, "float32") + 1.0
            epsilon = kept * ops.sqrt(1.0 - ops.power(self.beta_2, count))
            # PyTorch's fused additions take a number.
            self.epsilon = float(epsilon) if keras.config.backend() == "torch" else epsilon
            try:
                super()._backend_update_step(grads, trainable_variables, learning_rate)
            finally:
                self.epsilon = kept  # a tensor of a compiled function must not outlive it

    Adam.__name__ = Adam.__qualname__ = base.__name__
    return Adam


adam = KerasOptimizer(
    name="adam",
    keras_name="Adam",
    summary="As adamw: every optimizer's weight decay is decoupled here (beta_1, beta_2, epsilon)",
    options=AdamOptions,
    settings=ADAM,
    state_arrays=lambda options, settings: 2 + options.amsgrad,
    references=("Kingma & Ba 2015, Adam, arXiv 1412.6980",),
    subclass=with_the_paper_s_epsilon,
)
adamw = KerasOptimizer(
    name="adamw",
    keras_name="AdamW",
    summary="Adam with decoupled weight decay (beta_1, beta_2, epsilon)",
    options=AdamOptions,
    settings=ADAM,
    state_arrays=lambda options, settings: 2 + options.amsgrad,
    references=("Loshchilov & Hutter 2019, Decoupled Weight Decay, arXiv 1711.05101",),
    subclass=with_the_paper_s_epsilon,
)
