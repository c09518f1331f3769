"""Weights in vectors: the numbers and the checkpoints of weights by themselves."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program, standing_in, value_and_grad
from hvae_core.config import TrainConfig
from hvae_core.errors import PluginError
from hvae_core.plugins import manager
from hvae_core.training.joined import Place, read, write
from hvae_core.training.optimizer import Updater

OTHERS = [
    {"name": "adamw", "amsgrad": True},
    {"name": "rmsprop", "momentum": 0.9, "centered": True},
]
NAMES = [entry.name for entry in manager().entries("optimizer")]
ELEMENTWISE = [name for name in NAMES if manager().get("optimizer", name).elementwise]
SHAPES = {
    "a/kernel": (3, 3, 2, 4),
    "a/bias": (4,),
    "b/kernel": (4, 3),
    "b/gain": (),
    "c/bias": (2,),
}


class Trained:
    """Weights that are to come near given values, joined or apart, as a training step has them."""

    def __init__(self, optimizer, joins, **options):
        rng = np.random.default_rng(0)
        self.weights = []
        for name, shape in SHAPES.items():
            module, _, own = name.partition("/")
            with keras.name_scope("model"), keras.name_scope(module):
                self.weights.append(
                    keras.Variable(rng.normal(size=shape).astype("f"), dtype="float32", name=own)
                )
        self.targets = [rng.normal(size=shape).astype("f") for shape in SHAPES.values()]
        config = TrainConfig(
            optimizer=optimizer, ema_decay=0.5, clip_norm=1.0, skip_norm=50.0, learning_rate=0.1,
            **options,
        )  # fmt: skip
        self.updater = Updater(config, self.weights, joins=joins)
        variables = [*self.updater.trained, *self.updater.variables]
        self.program = Program(self.step, variables, compile=True)

    def step(self, step, scale):
        def loss():
            with standing_in(self.updater.values()):
                terms = [
                    ops.sum(ops.square(ops.subtract(weight.value, target)))
                    for weight, target in zip(self.weights, self.targets, strict=True)
                ]
            return scale * sum(terms), ()

        value, _, gradients = value_and_grad(loss, self.updater.trained)
        return value, *self.updater.apply(gradients, step, ops.cast(0.1, "float32"), True)

    def run(self, steps, scale=1.0):
        self.updater.join()
        figures = [
            self.program(ops.convert_to_tensor(n, "int32"), ops.convert_to_tensor(scale, "float32"))
            for n in steps
        ]
        self.program.sync()
        self.updater.part()
        return [[float(ops.convert_to_numpy(x)) for x in row] for row in figures]

    @property
    def places(self):
        places = [
            *map(Place.whole, self.weights), *self.updater.state, *self.updater.average_places,
        ]  # fmt: skip
        return dict(enumerate(places))

    def state(self):
        return read(self.places)


def assert_alike(some, others):
    assert some.keys() == others.keys()
    for name, array in some.items():
        assert array.shape == others[name].shape, name
        np.testing.assert_allclose(array, others[name], rtol=2e-6, atol=1e-6, err_msg=name)


GROUPS = [{"weights": ["b"], "learning_rate_factor": 0.5, "weight_decay": 0.2}]


def joined_and_apart_are_alike(optimizer, **options):
    joined, apart = (Trained(optimizer, joins, **options) for joins in (True, False))
    assert len(joined.updater.trained) < len(apart.updater.trained)
    assert_alike(joined.state(), apart.state())
    for steps, scale in (((0, 1, 2), 1.0), ((3,), 100.0), ((4, 5), 0.01)):  # clipped, skipped, not
        np.testing.assert_allclose(joined.run(steps, scale), apart.run(steps, scale), rtol=1e-6)
    assert_alike(joined.state(), apart.state())
    # a checkpoint of each goes on in the other
    saved = [trained.state() for trained in (joined, apart)]
    for trained, state in zip((joined, apart), reversed(saved), strict=True):
        write(trained.places, state)
        assert_alike(trained.state(), state)
    joined.run((6, 7))
    apart.run((6, 7))
    assert_alike(joined.state(), apart.state())


@pytest.mark.every_backend
@pytest.mark.parametrize("optimizer", ["adamw", "nadam", "sgd"])
def test_the_numbers_are_those_of_weights_apart(optimizer):
    joined_and_apart_are_alike(optimizer, weight_decay=0.1, parameter_groups=GROUPS)


@pytest.mark.parametrize("optimizer", [*ELEMENTWISE, *OTHERS], ids=str)
def test_every_elementwise_optimizer_s_are(optimizer):
    joined_and_apart_are_alike(optimizer, weight_decay=0.1)


def test_those_that_look_at_a_weight_as_a_whole_are_not_elementwise():
    assert set(NAMES) - set(ELEMENTWISE) == {"adafactor", "lamb", "muon"}


def test_weights_that_are_treated_alike_share_a_vector():
    def vectors(**options):
        return [tuple(v.shape) for v in Trained("adam", True, **options).updater.trained]

    assert vectors(weight_decay=0.0) == [(91,)]
    assert vectors(weight_decay=0.1, decay_all_weights=True) == [(91,)]
    assert vectors(weight_decay=0.1) == [(84,), (7,)]
    assert vectors(weight_decay=0.1, parameter_groups=GROUPS) == [(72,), (6,), (12,), (1,)]


class Odd(keras.optimizers.SGD):
    def build(self, variables):
        super().build(variables)
        self.norms = [self.add_variable((2,), name="norm") for _ in variables]


def test_state_of_another_kind_is_refused():
    config = TrainConfig(optimizer="sgd")
    spec = dataclasses.replace(config.optimizer.spec, builder=lambda *_: Odd(0.1))
    chosen = type("Chosen", (), {"build": lambda self, s: spec.build(None, s), "name": "odd"})()
    weights = [keras.Variable(np.ones(2, "f"), name=str(i)) for i in range(2)]
    with pytest.raises(PluginError, match="Odd says that it is elementwise, but its state"):
        Updater(config.model_copy(update={"optimizer": chosen}), weights, joins=True)
