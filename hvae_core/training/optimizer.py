"""The update rule: clip, skip, apply, average."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import keras
from keras import ops

from hvae_core.backends.many_tensors import apply_if, average_into, global_norm, scaled
from hvae_core.config import ParameterGroup, TrainConfig
from hvae_core.errors import PluginError
from hvae_core.interfaces import Tensor
from hvae_core.layers import dtype_policy
from hvae_core.training.joined import JoinedWeights, Place, build_joined
from hvae_core.weights.parameter_groups import choose, is_chosen, is_decayed, name_of


class Group:
    """Weights with one learning rate and weight decay, and the optimizer that holds their state.

    Args:
        config: the training options.
        options: what the group has of its own; None: the weights that no group names.
        weights: its weights.
        joins: whether they are joined to vectors, see `JoinedWeights`.

    Raises:
        PluginError: what the optimizer's builder gave is no Keras optimizer, or its state does not
            follow from the weights'.
    """

    def __init__(
        self,
        config: TrainConfig,
        options: ParameterGroup | None,
        weights: Sequence[keras.Variable],
        joins: bool,
    ) -> None:
        self.factor = 1.0 if options is None else options.learning_rate_factor
        settings = config.optimizer_settings
        rate = settings.learning_rate * self.factor
        decay = settings.weight_decay
        if options is not None and options.weight_decay is not None:
            decay = options.weight_decay
        self._settings = dataclasses.replace(settings, learning_rate=rate, weight_decay=decay)
        self._config = config
        self.optimizer = self._unbuilt()
        self.joined: list[JoinedWeights] = []
        #: what the optimizer updates: the weights, or vectors of them
        self.trained = list(weights)
        selective = bool(decay) and not config.decay_all_weights
        if joins and weights:
            self.joined = list(_join(weights, selective))
            self.trained = [joined.variable for joined in self.joined]
        fixed = [
            trained
            for trained, weight in zip(self.trained, self.joined or weights, strict=True)
            if not is_decayed(weight.weights[0] if isinstance(weight, JoinedWeights) else weight)
        ]
        if selective and fixed:
            self.optimizer.exclude_from_weight_decay(var_list=fixed)
        #: the optimizer's state, as it is without vectors
        self.state: list[Place]
        if self.joined:
            self.state = build_joined(self.optimizer, self._unbuilt(), self.joined, weights)
        else:
            self.optimizer.build(self.trained)
            self.state = [Place.whole(variable) for variable in self.optimizer.variables]

    def _unbuilt(self) -> keras.optimizers.Optimizer:
        with dtype_policy("float32"):  # of the learning rate
            optimizer = self._config.optimizer.build(self._settings)
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise PluginError(
                f"The optimizer {self._config.optimizer.name!r} built an object of type "
                f"{type(optimizer).__name__}; expected a keras.optimizers.Optimizer.",
                "Update or uninstall the package it comes from.",
            )
        return optimizer


def _join(weights: Sequence[keras.Variable], selective: bool) -> Iterator[JoinedWeights]:
    """One vector for all weights that are treated alike.

    Args:
        weights: of one group.
        selective: whether some of them are decayed and others are not.
    """
    alike: dict[tuple[str, bool], list[keras.Variable]] = {}
    for weight in weights:
        key = str(weight.dtype), selective and is_decayed(weight)
        alike.setdefault(key, []).append(weight)
    for (dtype, decayed), some in alike.items():
        yield JoinedWeights(some, f"joined_{dtype}_{'decayed' if decayed else 'others'}")


def check_groups(config: TrainConfig, names: Sequence[str]) -> None:
    """Refuse a pattern of ``train.parameter_groups`` that names none of these weights.

    Raises:
        ConfigError: there is one.
    """
    for number, group in enumerate(config.parameter_groups):
        choose(names, group.weights, f"train.parameter_groups[{number}].weights")


def divide(config: TrainConfig, weights: Sequence[keras.Variable], joins: bool) -> list[Group]:
    """The weights by ``train.parameter_groups``; those that none names come first.

    Raises:
        ConfigError: a pattern names no weight that is trained.
    """
    names = [name_of(weight) for weight in weights]
    check_groups(config, names)
    divided: list[list[keras.Variable]] = [[] for _ in range(1 + len(config.parameter_groups))]
    for name, weight in zip(names, weights, strict=True):
        number = next(
            (i for i, g in enumerate(config.parameter_groups, 1) if is_chosen(name, g.weights)), 0
        )
        divided[number].append(weight)
    options = [None, *config.parameter_groups]
    return [
        Group(config, option, chosen, joins)
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
        joins: whether weights that are treated alike are joined to vectors, which must then be
            given the weights before an update and give them back after it: `join`, `part`. For
            optimizers that treat each number by itself.

    Attributes:
        trained: the variables that are updated: the weights, or vectors of them.

    Raises:
        PluginError: what the optimizer's builder gave is no Keras optimizer, or it is not
            elementwise though its spec says so.
        ConfigError: a group names no weight.
    """

    def __init__(
        self,
        config: TrainConfig,
        weights: Sequence[keras.Variable],
        skip_start: int | None = None,
        joins: bool = False,
    ) -> None:
        self.config = config
        self.skip_start = (config.skip_start_step or 0) if skip_start is None else skip_start
        self.weights = list(weights)
        self.groups = divide(config, self.weights, joins)
        self.joined = [joined for group in self.groups for joined in group.joined]
        self.trained = [variable for group in self.groups for variable in group.trained]
        if not joins:  # one for one with the weights, and so with their gradients
            self.trained = self.weights
        self.averages: list[keras.Variable] = []
        if config.ema_decay:
            vectors = [joined.numbers() for joined in self.joined]
            numbers = vectors or [ops.convert_to_numpy(weight.value) for weight in self.weights]
            self.averages = [
                keras.Variable(array, trainable=False, dtype="float32", name=f"ema_{i}")
                for i, array in enumerate(numbers)
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
    def state(self) -> list[Place]:
        """Where the optimizer's state lies, group by group, as it is without vectors."""
        return [place for group in self.groups for place in group.state]

    @property
    def average_places(self) -> list[Place]:
        """Where the averages of the weights lie, in the weights' order; none without averages."""
        return self._places(self.averages)

    @property
    def weight_places(self) -> list[Place]:
        """Where the weights lie that are being trained, in their order."""
        return self._places(self.trained)

    def _places(self, variables: Sequence[keras.Variable]) -> list[Place]:
        """The places of the weights in variables like those of `trained`."""
        if not variables or not self.joined:
            return [Place.whole(variable) for variable in variables]
        places = {
            id(weight): place
            for joined, variable in zip(self.joined, variables, strict=True)
            for weight, place in zip(joined.weights, joined.places(variable), strict=True)
        }
        return [places[id(weight)] for weight in self.weights]

    def join(self) -> None:
        """Take the weights into their vectors, where there are some."""
        for joined in self.joined:
            joined.join()

    def part(self) -> None:
        """Give the weights what their vectors hold."""
        for joined in self.joined:
            joined.part()

    def values(self) -> list[tuple[keras.Variable, Tensor]]:
        """The weights that vectors hold, with their values as tensors of the program."""
        return [
            pair
            for joined in self.joined
            for pair in zip(joined.weights, joined.values(), strict=True)
        ]

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables an update may change beside `trained`."""
        return [*self.optimizer_variables, *self.averages]

    def apply(
        self, gradients: Sequence[Tensor], step: Tensor, learning_rate: Tensor, finite: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One update.

        Args:
            gradients: one for each of `trained`.
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
        of = {id(v): gradient for v, gradient in zip(self.trained, gradients, strict=True)}

        def update() -> None:
            for group in self.groups:
                group.optimizer.apply([of[id(v)] for v in group.trained], group.trained)
            if self.averages:
                average_into(self.averages, self.trained, self._decay())

        apply_if(accept, update, [*self.trained, *self.variables])
        return norm, accept

    def _decay(self) -> Tensor | float:
        """Of the averages, in the update that the optimizer has just made."""
        decay = self.config.ema_decay
        if not self.config.ema_warmup:
            return decay
        count = ops.cast(self.optimizer.iterations, "float32")
        return ops.minimum(decay, (1.0 + count) / (10.0 + count))
