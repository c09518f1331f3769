"""The optimizers of Keras as they are, one object each: what an entry point names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from hvae_core.interfaces import OptimizerSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.optimizers import options

#: Keras's argument: the setting of ``train`` that it gets
ADAM = {"beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon"}
EPSILON = {"epsilon": "epsilon"}
_KINGMA = "Kingma & Ba 2015, Adam, arXiv 1412.6980"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class KerasOptimizer:
    """A plugin for an optimizer of Keras.

    Args:
        name: what a configuration calls it.
        keras_name: its class in `keras.optimizers`.
        summary: one line; it says which of the settings it uses beside the learning rate and the
            weight decay.
        options: its own options.
        settings: Keras's arguments and the settings of ``train`` that they get.
        state_arrays: see `ComponentSpec`.
        elementwise: see `ComponentSpec`.
        references: papers.
        subclass: makes a class of ours from Keras's, of the backend in use.
    """

    name: str
    keras_name: str
    summary: str
    options: type = options.Options
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    state_arrays: Callable[[Any, OptimizerSettings], int] = lambda options, settings: 2
    elementwise: bool = True
    references: tuple[str, ...] = ()
    subclass: Callable[[Any], type] | None = None

    @hookimpl
    def hvae_component(self) -> ComponentSpec:
        """Describe the optimizer."""
        return ComponentSpec(
            kind="optimizer",
            name=self.name,
            summary=self.summary,
            builder=self.build,
            config=self.options,
            references=self.references,
            state_arrays=self.state_arrays,
            elementwise=self.elementwise,
        )

    def build(self, options: Any, settings: OptimizerSettings) -> Any:
        """The Keras optimizer, not built yet."""
        import keras

        arguments = {ours: getattr(settings, name) for ours, name in self.settings.items()}
        arguments |= dict(options)
        kind = getattr(keras.optimizers, self.keras_name)
        if self.subclass is not None:
            # On PyTorch making one of Keras's own gives a faster class, which ours derives from.
            kind = self.subclass(type(kind.__new__(kind)))
        decay = settings.weight_decay or None
        if self.keras_name == "AdamW":  # which takes no None
            decay = settings.weight_decay
        return kind(settings.learning_rate, weight_decay=decay, **arguments)


adamax = KerasOptimizer(
    name="adamax",
    keras_name="Adamax",
    summary="Adam by the gradients' largest absolute values (beta_1, beta_2, epsilon)",
    settings=ADAM,
    references=(_KINGMA,),
)
sgd = KerasOptimizer(
    name="sgd",
    keras_name="SGD",
    summary="Stochastic gradient descent with the momentum train.beta_1",
    options=options.SGDOptions,
    settings={"momentum": "beta_1"},
    state_arrays=lambda options, settings: int(settings.beta_1 > 0),
)
nadam = KerasOptimizer(
    name="nadam",
    keras_name="Nadam",
    summary="Adam with Nesterov's momentum (beta_1, beta_2, epsilon)",
    settings=ADAM,
    references=("Dozat 2016, Incorporating Nesterov Momentum into Adam",),
)
rmsprop = KerasOptimizer(
    name="rmsprop",
    keras_name="RMSprop",
    summary="Gradients divided by the root of their squares' average (epsilon)",
    options=options.RMSpropOptions,
    settings=EPSILON,
    state_arrays=lambda options, settings: 1 + (options.momentum > 0) + options.centered,
    references=("Hinton 2012, Neural Networks for Machine Learning, lecture 6e",),
)
lion = KerasOptimizer(
    name="lion",
    keras_name="Lion",
    summary="The sign of the momentum; wants a lower learning rate than Adam (beta_1, beta_2)",
    settings={"beta_1": "beta_1", "beta_2": "beta_2"},
    state_arrays=lambda options, settings: 1,
    references=("Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, 2302.06675",),
)
lamb = KerasOptimizer(
    name="lamb",
    keras_name="Lamb",
    summary="Adam with a trust ratio for each weight, for large batches (beta_1, beta_2, epsilon)",
    settings=ADAM,
    elementwise=False,
    references=("You et al. 2020, Large Batch Optimization for Deep Learning, arXiv 1904.00962",),
)
adafactor = KerasOptimizer(
    name="adafactor",
    keras_name="Adafactor",
    summary="Second moments factored into those of rows and columns",
    options=options.AdafactorOptions,
    state_arrays=lambda options, settings: 1,  # Keras keeps the product of the factors
    elementwise=False,
    references=("Shazeer & Stern 2018, Adafactor, arXiv 1804.04235",),
)
adagrad = KerasOptimizer(
    name="adagrad",
    keras_name="Adagrad",
    summary="Gradients divided by the root of their squares' sum (epsilon)",
    options=options.AdagradOptions,
    settings=EPSILON,
    state_arrays=lambda options, settings: 1,
    references=("Duchi et al. 2011, Adaptive Subgradient Methods, JMLR 12",),
)
adadelta = KerasOptimizer(
    name="adadelta",
    keras_name="Adadelta",
    summary="Steps in the unit of the weights; a learning rate of 1 is the paper's (epsilon)",
    options=options.AdadeltaOptions,
    settings=EPSILON,
    references=("Zeiler 2012, ADADELTA, arXiv 1212.5701",),
)
ftrl = KerasOptimizer(
    name="ftrl",
    keras_name="Ftrl",
    summary="Follow the regularized leader, which draws weights to 0",
    options=options.FtrlOptions,
    references=("McMahan et al. 2013, Ad Click Prediction",),
)
