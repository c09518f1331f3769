"""The update rule: clip, skip, apply, average."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
from keras import ops

from hvae_core.backends.many_tensors import apply_if, average_into, global_norm, scaled
from hvae_core.config import ParameterGroup, TrainConfig
from hvae_core.errors import PluginError
from hvae_core.interfaces import Tensor
from hvae_core.layers import dtype_policy
from hvae_core.weights.parameter_groups import choose, is_chosen, is_decayed, name_of


class Group:
    """Weights with one learning rate and weight decay, and the optimizer that holds their state.

    Args:
        config: the training options.
        options: what the group has of its own; None: the weights that no group names.
        weights: its weights, by their place among all that are trained.

    Raises:
        PluginError: what the optimizer's builder gave is no Keras optimizer.
    """

    def __init__(
        self,
        config: TrainConfig,
        options: ParameterGroup | None,
        weights: dict[int, keras.Variable],
    ) -> None:
        self.factor = 1.0 if options is None else options.learning_rate_factor
        self.places, self.weights = list(weights), list(weights.values())
        settings = config.optimizer_settings
        rate = settings.learning_rate * self.factor
        decay = settings.weight_decay
        if options is not None and options.weight_decay is not None:
            decay = options.weight_decay
        settings = dataclasses.replace(settings, learning_rate=rate, weight_decay=decay)
        with dtype_policy("float32"):  # of the learning rate
            self.optimizer = config.optimizer.build(settings)
        if not isinstance(self.optimizer, keras.optimizers.Optimizer):
            raise PluginError(
                f"The optimizer {config.optimizer.name!r} built an object of type "
                f"{type(self.optimizer).__name__}; expected a keras.optimizers.Optimizer.",
                "Update or uninstall the package it comes from.",
            )
        fixed = [variable for variable in self.weights if not is_decayed(variable)]
        if decay and fixed and not config.decay_all_weights:
            self.optimizer.exclude_from_weight_decay(var_list=fixed)
        self.optimizer.build(self.weights)

    def apply(self, gradients: Sequence[Tensor]) -> None:
        """Update the group's weights by the gradients of all."""
        self.optimizer.apply([gradients[place] for place in self.places], self.weights)


def check_groups(config: TrainConfig, names: Sequence[str]) -> None:
    """Refuse a pattern of ``train.parameter_groups`` that names none of these weights.

    Raises:
        ConfigError: there is one.
    """
    for number, group in enumerate(config.parameter_groups):
        choose(names, group.weights, f"train.parameter_groups[{number}].weights")


def divide(config: TrainConfig, weights: Sequence[keras.Variable]) -> list[Group]:
    """The weights by ``train.parameter_groups``; those that none names come first.

    Raises:
        ConfigError: a pattern names no weight that is trained.
    """
    names = [name_of(weight) for weight in weights]
    check_groups(config, names)
    divided: list[dict[int, keras.Variable]] = [{} for _ in range(1 + len(config.parameter_groups))]
    for place, (name, weight) in enumerate(zip(names, weights, strict=True)):
        number = next(
            (i for i, g in enumerate(config.parameter_groups, 1) if is_chosen(name, g.weights)), 0
        )
        divided[number][place] = weight
    options = [None, *config.parameter_groups]
    return [
        Group(config, option, chosen)
        for option, chosen in zip(options, divided, strict=True)
        if chosen or not weights
    ]


class Updater:
    """Applies gradients to the weights and keeps their exponential moving average.

    The norm of the (accumulated) gradient is measured before clipping. An update whose norm is
    not finite, or at least ``skip_norm`` from update ``skip_start`` on, is dropped: weights,
    moments, the optimizer's count and the average stay as they are (Child 2020, section 4; Hazami
    et al. 2022). Norms are of gradients in nats per dimension. Weight decay leaves out biases,
    norms, gains and gates unless ``decay_all_weights`` is on. ``parameter_groups`` have learning
    rates and weight decays of their own; norm, clipping and skipping are of all weights together.

    Args:
        config: the training options.
        weights: the trainable variables.
        skip_start: the first update that may be skipped; None: ``train.skip_start_step``, or the
            first of all.

    Raises:
        PluginError: what the optimizer's builder gave is no Keras optimizer.
        ConfigError: a group names no weight.
    """

    def __init__(
        self,
        config: TrainConfig,
        weights: Sequence[keras.Variable],
        skip_start: int | None = None,
    ) -> None:
        self.config = config
        self.skip_start = (config.skip_start_step or 0) if skip_start is None else skip_start
        self.weights = list(weights)
        self.groups = divide(config, self.weights)
        self.averages: list[keras.Variable] = []
        if config.ema_decay:
            self.averages = [
                keras.Variable(
                    ops.convert_to_numpy(w.value), trainable=False, dtype="float32", name=f"ema_{i}"
                )
                for i, w in enumerate(self.weights)
            ]

    @property
    def optimizer(self) -> keras.optimizers.Optimizer:
        """That of the first group; all of them make the same updates."""
        return self.groups[0].optimizer

    @property
    def optimizer_variables(self) -> list[keras.Variable]:
        """The state of the optimizer, group by group."""
        return [variable for group in self.groups for variable in group.optimizer.variables]

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables an update may change beside the weights."""
        return [*self.optimizer_variables, *self.averages]

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
            may_skip = step >= self.skip_start
            too_large = ops.logical_and(may_skip, norm >= config.skip_norm)
            accept = ops.logical_and(accept, ops.logical_not(too_large))
        if config.clip_norm is not None:
            gradients = scaled(gradients, ops.minimum(1.0, config.clip_norm / (norm + 1e-6)))
        for group in self.groups:
            group.optimizer.learning_rate.assign(learning_rate * group.factor)
        gradients = list(gradients)

        def update() -> None:
            for group in self.groups:
                group.apply(gradients)
            if self.averages:
                average_into(self.averages, self.weights, self._decay())

        apply_if(accept, update, [*self.weights, *self.variables])
        return norm, accept

    def _decay(self) -> Tensor | float:
        """Of the averages, in the update that the optimizer has just made."""
        decay = self.config.ema_decay
        if not self.config.ema_warmup:
            return decay
        count = ops.cast(self.optimizer.iterations, "float32")
        return ops.minimum(decay, (1.0 + count) / (10.0 + count))
