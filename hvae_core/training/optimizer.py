"""The update rule: clip, skip, apply, average."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from hvae_core.backends.compiling import snapshot
from hvae_core.config import TrainConfig
from hvae_core.errors import PluginError
from hvae_core.interfaces import Tensor


def is_decayed(variable: keras.Variable) -> bool:
    """Whether weight decay applies: to kernels alone."""
    return variable.path.rsplit("/", 1)[-1] in ("kernel", "depthwise_kernel")


def global_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients together, float32."""
    if keras.config.backend() == "torch":  # eager: one call for all of them
        import torch

        norms = torch._foreach_norm([gradient.float() for gradient in gradients])
        return torch.linalg.vector_norm(torch.stack(norms))
    squares = [ops.sum(ops.square(ops.cast(gradient, "float32"))) for gradient in gradients]
    return ops.sqrt(ops.sum(ops.stack(squares)))


def scaled(gradients: Sequence[Tensor], factor: Tensor) -> list[Tensor]:
    """All gradients times one number."""
    if keras.config.backend() == "torch":
        import torch

        return list(torch._foreach_mul(list(gradients), factor))
    return [gradient * ops.cast(factor, gradient.dtype) for gradient in gradients]


class Updater:
    """Applies gradients to the weights and keeps their exponential moving average.

    The norm of the (accumulated) gradient is measured before clipping. An update whose norm is
    not finite, or at least ``skip_norm`` from ``skip_start_step`` on, is dropped: weights,
    moments, the optimizer's count and the average stay as they are (Child 2020, section 4; Hazami
    et al. 2022). Norms are of gradients in nats per dimension. Weight decay leaves out biases,
    norms, gains and gates unless ``decay_all_weights`` is on.

    Args:
        config: the training options.
        weights: the trainable variables.

    Raises:
        PluginError: what the optimizer's builder gave is no Keras optimizer.
    """

    def __init__(self, config: TrainConfig, weights: Sequence[keras.Variable]) -> None:
        self.config = config
        self.weights = list(weights)
        self.optimizer = config.optimizer.build(config.optimizer_settings)
        if not isinstance(self.optimizer, keras.optimizers.Optimizer):
            raise PluginError(
                f"The optimizer {config.optimizer.name!r} built an object of type "
                f"{type(self.optimizer).__name__}; expected a keras.optimizers.Optimizer.",
                "Update or uninstall the package it comes from.",
            )
        fixed = [variable for variable in self.weights if not is_decayed(variable)]
        if config.weight_decay and fixed and not config.decay_all_weights:
            self.optimizer.exclude_from_weight_decay(var_list=fixed)
        self.optimizer.build(self.weights)
        self.averages: list[keras.Variable] = []
        if config.ema_decay:
            self.averages = [
                keras.Variable(
                    ops.convert_to_numpy(w.value), trainable=False, dtype="float32", name=f"ema_{i}"
                )
                for i, w in enumerate(self.weights)
            ]

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables an update may change beside the weights."""
        return [*self.optimizer.variables, *self.averages]

    def apply(
        self, gradients: Sequence[Tensor], step: Tensor, learning_rate: Tensor, finite: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One update.

        Args:
            gradients: one for each weight.
            step: number of this update, from 0.
            learning_rate: of this update.
            finite: whether the loss was finite.

        Returns:
            The gradient norm before clipping, and whether the update was applied (bool).
        """
        config = self.config
        norm = global_norm(gradients)
        accept = ops.logical_and(ops.isfinite(norm), finite)
        if config.skip_norm:
            may_skip = step >= config.skip_start_step
            too_large = ops.logical_and(may_skip, norm >= config.skip_norm)
            accept = ops.logical_and(accept, ops.logical_not(too_large))
        if config.clip_norm is not None:
            gradients = scaled(gradients, ops.minimum(1.0, config.clip_norm / (norm + 1e-6)))
        self.optimizer.learning_rate.assign(learning_rate)
        if keras.config.backend() == "torch":
            # Eager: asking costs one number's transfer and saves a copy of all state.
            if bool(accept):
                import torch

                with torch.no_grad():  # not all of Keras's optimizers see to it themselves
                    self.optimizer.apply(list(gradients), self.weights)
                self._average()
        else:
            self._apply_where(accept, gradients)
        return norm, accept

    def _apply_where(self, accept: Tensor, gradients: Sequence[Tensor]) -> None:
        changed = [*self.weights, *self.variables]
        before = [snapshot(variable) for variable in changed]
        self.optimizer.apply(list(gradients), self.weights)
        self._average()
        for variable, old in zip(changed, before, strict=True):
            variable.assign(ops.where(accept, ops.convert_to_tensor(variable), old))

    def _decay(self) -> Tensor | float:
        """Of the averages, in the update that the optimizer has just made."""
        decay = self.config.ema_decay
        if not self.config.ema_warmup:
            return decay
        count = ops.cast(self.optimizer.iterations, "float32")
        return ops.minimum(decay, (1.0 + count) / (10.0 + count))

    def _average(self) -> None:
        if not self.averages:
            return
        decay = self._decay()
        if keras.config.backend() == "torch":
            import torch

            with torch.no_grad():
                averages = [average.value for average in self.averages]
                weights = [weight.value for weight in self.weights]
                torch._foreach_lerp_(averages, weights, 1.0 - float(decay))
            return
        for average, weight in zip(self.averages, self.weights, strict=False):
            value = ops.convert_to_tensor(average)
            average.assign(value + (1.0 - decay) * (ops.convert_to_tensor(weight) - value))
