"""The contracts of training: optimizers, learning-rate schedules and trackers; Keras-free."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hvae_core.interfaces.outputs import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """What ``train`` says to every optimizer; each says which of it it uses.

    Args:
        learning_rate: the full one. That of an update is assigned before the update.
        beta_1: decay of the first moment, or momentum.
        beta_2: decay of the second moment.
        epsilon: added to a denominator.
        weight_decay: decoupled; 0 is none.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0


class Optimizer(Protocol):
    """What updates the weights, as `keras.optimizers.Optimizer` does.

    Builder: ``(options, settings: OptimizerSettings)``; it returns a Keras optimizer that is not
    built yet. Its state must be Keras variables that its attributes hold, in an order that follows
    from the weights' alone: checkpoints keep them by number. The training step measures, clips and
    skips gradients and averages weights itself; weight decay is Keras's own (``weight_decay=``),
    because the step says which weights it leaves out.
    """

    variables: list[Any]
    learning_rate: Any
    iterations: Any

    def build(self, variables: list[Any]) -> None:
        """Make the state for these weights."""

    def exclude_from_weight_decay(self, var_list: list[Any]) -> None:
        """Leave these weights out of weight decay; before `build`."""

    def apply(self, grads: list[Tensor], trainable_variables: list[Any]) -> None:
        """One update, compiled or not."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """What ``train`` says to every schedule.

    Args:
        learning_rate: the full one, which the warm-up ends at.
        final_learning_rate: absolute, at the end.
        restarts: periods of a schedule that has some.
    """

    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    restarts: int = 4


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where an update lies in the run; all updates are those after the warm-up.

    Args:
        fraction: part of them that is done, 0 to 1.
        step: number of the update, from 0.
        steps: how many there are.
        warmup: updates of the warm-up before them.
    """

    fraction: float
    step: int
    steps: int
    warmup: int = 0


class Schedule(abc.ABC):
    """The learning rate after the warm-up. Builder: ``(options, settings: ScheduleSettings)``.

    A builder raises `hvae_core.errors.ConfigError` where it cannot follow the settings.
    """

    @abc.abstractmethod
    def rate(self, progress: Progress) -> float:
        """The learning rate of an update: of ``progress`` alone, so that a resumed run follows."""


class Tracker(abc.ABC):
    """Where a run's figures go. Builder: ``(options)``; called before training, imports lazily.

    A builder raises `hvae_core.errors.MissingDependencyError` where its package is not installed.
    Only the first of several processes has trackers. One that raises in a later call is left out
    from then on; the run goes on.
    """

    @abc.abstractmethod
    def start(self, config: Mapping[str, Any], name: str, folder: Path, step: int) -> None:
        """Before the first update.

        Args:
            config: the resolved configuration as plain values.
            name: the run's.
            folder: the run folder, in which the tracker may keep its own files.
            step: updates made before; above 0 in a run that is resumed.
        """

    @abc.abstractmethod
    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers after update ``step``, by names such as ``train/loss``.

        After a resumption the steps since the last checkpoint come a second time.
        """

    def image(self, step: int, name: str, image: np.ndarray) -> None:  # noqa: B027
        """A picture after update ``step``, uint8 [H, W, 1 or 3]."""

    def finish(self) -> None:  # noqa: B027
        """At the end, after an error too."""
