"""The contract of optimizers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from hvae_core.backends.compiling import Program, standing_in, value_and_grad
from hvae_core.config import TrainConfig
from hvae_core.interfaces import OptimizerSettings, Tensor
from hvae_core.plugins.testing.component import ComponentContract
from hvae_core.training.joined import read
from hvae_core.training.optimizer import Updater

SHAPES = {"kernel": (3, 3, 2, 4), "bias": (4,), "depthwise_kernel": (3, 3, 4, 1)}


class Task:
    """Weights that are to come near given values, and the updates that bring them there."""

    def __init__(
        self,
        build: Callable[[OptimizerSettings], Any],
        learning_rate: float,
        joins: bool = False,
    ) -> None:
        rng = np.random.default_rng(0)
        self.rate = learning_rate
        # Weights have a path in a model, which says what they are.
        with keras.name_scope("task"):
            self.weights = [
                keras.Variable(rng.normal(size=shape).astype("f"), dtype="float32", name=name)
                for name, shape in SHAPES.items()
            ]
        self.targets = [rng.normal(size=shape).astype("f") for shape in SHAPES.values()]
        settings = TrainConfig(learning_rate=learning_rate, final_learning_rate=0.0, ema_decay=0.5)
        # Its spec is at hand, and need not be installed.
        chosen = SimpleNamespace(build=build)
        settings = settings.model_copy(update={"optimizer": chosen})
        self.updater = Updater(settings, self.weights, joins=joins)
        updated = [*self.updater.trained, *self.updater.variables]
        self._program = Program(self._step, updated, compile=True)

    @property
    def variables(self) -> list[keras.Variable]:
        """The weights and all state."""
        return [*self.weights, *self.updater.variables]

    def _step(self, step: Tensor, finite: Tensor) -> Tensor:
        def loss() -> tuple[Tensor, tuple[()]]:
            with standing_in(self.updater.values()):
                terms = [
                    ops.sum(ops.square(ops.subtract(weight.value, target)))
                    for weight, target in zip(self.weights, self.targets, strict=True)
                ]
            return ops.sum(ops.stack(terms)), ()

        value, _, gradients = value_and_grad(loss, self.updater.trained)
        rate = ops.convert_to_tensor(self.rate, "float32")
        self.updater.apply(gradients, step, rate, finite)
        return value

    def run(self, first: int, last: int, finite: bool = True) -> list[float]:
        """The losses before the updates ``first`` to ``last`` - 1."""
        self.updater.join()
        losses = [
            float(self._program(ops.convert_to_tensor(s, "int32"), ops.convert_to_tensor(finite)))
            for s in range(first, last)
        ]
        self._program.sync()
        self.updater.part()
        return losses

    def state(self) -> list[np.ndarray]:
        """Copies of all variables."""
        return [np.array(ops.convert_to_numpy(v.value)) for v in self.variables]


class OptimizerContract(ComponentContract):
    """An optimizer is a Keras optimizer whose state is in its variables.

    Attributes:
        learning_rate: with which twenty updates must lessen a sum of squares.
    """

    kind = "optimizer"
    learning_rate: ClassVar[float] = 0.03

    def make(self, config: dict[str, Any]) -> Task:
        """A task with the optimizer."""
        return Task(partial(self.component.build, self.options(config)), self.learning_rate)

    def test_it_learns(self, config: dict[str, Any]) -> None:
        """The loss falls, and stays finite."""
        losses = self.make(config).run(0, 20)
        assert np.isfinite(losses).all()
        assert losses[-1] < losses[0], f"the loss went from {losses[0]} to {losses[-1]}"

    def test_its_state_is_in_its_variables(self, config: dict[str, Any]) -> None:
        """A run that is stopped and resumed makes the same updates."""
        whole, resumed = self.make(config), self.make(config)
        whole.run(0, 3)
        shapes = [[tuple(v.shape) for v in task.variables] for task in (whole, resumed)]
        assert shapes[0] == shapes[1], "its variables have no fixed order"
        for variable, value in zip(resumed.variables, whole.state(), strict=True):
            variable.assign(value)
        np.testing.assert_allclose(resumed.run(3, 6), whole.run(3, 6), rtol=1e-5)

    def test_a_skipped_update_changes_nothing(self, config: dict[str, Any]) -> None:
        """The training step takes back what a dropped update changed."""
        task = self.make(config)
        task.run(0, 1)
        before = task.state()
        task.run(1, 2, finite=False)
        for old, new in zip(before, task.state(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_elementwise_ones_update_a_vector_as_they_do_weights(
        self, config: dict[str, Any]
    ) -> None:
        """What ``elementwise`` says: weights may be joined, and their numbers stay the same."""
        if not self.component.elementwise:
            return
        build = partial(self.component.build, self.options(config))
        tasks = [Task(build, self.learning_rate, joins) for joins in (True, False)]
        found = []
        for task in tasks:
            task.run(0, 3)
            found.append([np.array(ops.convert_to_numpy(v.value)) for v in task.weights])
        for joined, apart in zip(*found, strict=True):
            np.testing.assert_allclose(joined, apart, rtol=1e-5, atol=1e-6)
        states = [read(dict(enumerate(task.updater.state))) for task in tasks]
        for number, array in states[1].items():
            np.testing.assert_allclose(states[0][number], array, rtol=1e-5, atol=1e-6)

    def test_the_state_s_size_is_told(self, config: dict[str, Any]) -> None:
        """``state_arrays``, where the spec has it, is not less than what is kept by one or more."""
        spec, task = self.component, self.make(config)
        if spec.state_arrays is None:
            return
        told = spec.state_arrays(self.options(config), OptimizerSettings())
        size = sum(int(np.prod(v.shape)) for v in task.weights)
        kept = sum(int(np.prod(v.shape)) for v in task.updater.optimizer.variables)
        assert kept < (told + 1) * size, f"{told} is told, {kept / size:.1f} are kept"
