from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program
from hvae_core.config import TrainConfig
from hvae_core.errors import PluginError
from hvae_core.training.optimizer import Updater
from hvae_core.weights.parameter_groups import is_decayed

pytestmark = pytest.mark.every_backend


class Layer(keras.layers.Layer):
    def build(self, _=None):
        self.kernel = self.add_weight(shape=(2, 2), initializer="ones", name="kernel")
        self.bias = self.add_weight(shape=(2,), initializer="ones", name="bias")


def make(**options):
    layer = Layer(name="layer")
    layer.build()
    weights = layer.trainable_variables
    updater = Updater(TrainConfig(**options), weights)
    values = [*weights, *updater.variables]
    program = Program(
        lambda kernel, bias, step, rate, finite: updater.apply([kernel, bias], step, rate, finite),
        values,
        compile=True,
    )

    def update(kernel, bias=(0.0, 0.0), step=0, rate=0.1, finite=True):
        arguments = (
            ops.convert_to_tensor(np.asarray(kernel, np.float32)),
            ops.convert_to_tensor(np.asarray(bias, np.float32)),
            ops.convert_to_tensor(step, "int32"),
            ops.convert_to_tensor(rate, "float32"),
            ops.convert_to_tensor(finite),
        )
        norm, applied = program(*arguments)
        program.sync()
        return float(norm), bool(applied)

    return updater, update


def numbers(variables):
    return [ops.convert_to_numpy(v.value).copy() for v in variables]


def test_sgd_clips_to_the_norm_and_reports_the_norm_before():
    updater, update = make(optimizer="sgd", beta_1=0.0, clip_norm=1.0, weight_decay=0, ema_decay=0)
    norm, applied = update([[3.0, 0.0], [0.0, 4.0]])
    assert (norm, applied) == (pytest.approx(5.0), True)
    kernel, bias = numbers(updater.weights)
    np.testing.assert_allclose(kernel, 1 - 0.1 * np.array([[0.6, 0], [0, 0.8]]), rtol=1e-5)
    np.testing.assert_allclose(bias, 1.0)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "adamax"])
def test_a_skipped_update_changes_nothing_at_all(optimizer):
    updater, update = make(optimizer=optimizer, skip_norm=4.0, ema_decay=0.5)
    update(np.ones((2, 2)))
    before = numbers([*updater.weights, *updater.variables])
    for kernel, finite in (
        (np.full((2, 2), 2.0), True),  # the norm is the threshold itself
        (np.full((2, 2), np.nan), True),
        (np.full((2, 2), np.inf), True),
        (np.ones((2, 2)), False),
    ):
        _, applied = update(kernel, finite=finite)
        assert not applied
    after = numbers([*updater.weights, *updater.variables])
    rate = [
        i
        for i, v in enumerate([*updater.weights, *updater.variables])
        if v is updater.optimizer.learning_rate
    ]
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if index not in rate:
            np.testing.assert_array_equal(old, new)
    _, applied = update(np.full((2, 2), 1.9))
    assert applied


def test_skipping_starts_at_its_step_but_non_finite_is_always_skipped():
    _, update = make(optimizer="sgd", skip_norm=1.0, skip_start_step=10)
    assert update(np.full((2, 2), 5.0), step=9)[1]
    assert not update(np.full((2, 2), np.nan), step=9)[1]
    assert not update(np.full((2, 2), 5.0), step=10)[1]


def test_weight_decay_leaves_biases_out():
    updater, update = make(optimizer="adamw", weight_decay=0.5, ema_decay=0)
    update(np.zeros((2, 2)), rate=0.1)
    kernel, bias = numbers(updater.weights)
    np.testing.assert_allclose(kernel, 1 - 0.1 * 0.5, rtol=1e-6)
    np.testing.assert_array_equal(bias, 1.0)


def test_average_is_the_recursion_from_the_initial_weights():
    options = {"ema_decay": 0.9, "ema_warmup": False}
    updater, update = make(optimizer="sgd", beta_1=0.0, weight_decay=0, **options)
    expected = numbers(updater.weights)
    for _ in range(3):
        update(np.ones((2, 2)), (1.0, 2.0))
        expected = [
            0.9 * e + 0.1 * w for e, w in zip(expected, numbers(updater.weights), strict=True)
        ]
    for average, value in zip(numbers(updater.averages), expected, strict=True):
        np.testing.assert_allclose(average, value, rtol=1e-6)


def test_the_average_s_decay_warms_up_with_the_updates_that_were_made():
    options = {"ema_decay": 0.3, "skip_norm": 10.0}
    updater, update = make(optimizer="sgd", beta_1=0.0, weight_decay=0, **options)
    expected = numbers(updater.weights)
    # 2/11 and 3/12 are below ema_decay, 4/13 is above it; a skipped update does not count.
    for decay in (2 / 11, 3 / 12, None, 0.3):
        update(np.ones((2, 2)) * (100.0 if decay is None else 1.0), (1.0, 2.0))
        if decay is not None:
            expected = [
                decay * e + (1 - decay) * w
                for e, w in zip(expected, numbers(updater.weights), strict=True)
            ]
    for average, value in zip(numbers(updater.averages), expected, strict=True):
        np.testing.assert_allclose(average, value, rtol=1e-6)


def test_decay_all_weights_decays_biases_too():
    updater, update = make(optimizer="adamw", weight_decay=0.5, decay_all_weights=True, ema_decay=0)
    update(np.zeros((2, 2)), rate=0.1)
    for weight in numbers(updater.weights):
        np.testing.assert_allclose(weight, 1 - 0.1 * 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["kernel", "depthwise_kernel", "bias", "gamma", "beta", "gain", "gate"]
)
def test_kernels_alone_are_decayed(name):
    layer = keras.layers.Layer(name="layer")
    assert is_decayed(layer.add_weight(shape=(1,), name=name)) == name.endswith("kernel")


def test_sgd_with_momentum():
    updater, update = make(optimizer="sgd", beta_1=0.5, weight_decay=0, ema_decay=0)
    weight, velocity = np.ones((2, 2)), 0.0
    for _ in range(3):
        velocity = 0.5 * velocity - 0.1 * np.full((2, 2), 2.0)
        weight = weight + velocity
        update(np.full((2, 2), 2.0))
    np.testing.assert_allclose(numbers(updater.weights)[0], weight, rtol=1e-5)


def test_adamax_against_the_published_rule():
    """Kingma & Ba 2015, algorithm 2; an epsilon is added to its denominator."""
    updater, update = make(
        optimizer="adamax", beta_1=0.8, beta_2=0.7, epsilon=0.1, weight_decay=0, ema_decay=0
    )
    rng = np.random.default_rng(0)
    weight, m, u = np.ones((2, 2)), 0.0, 0.0
    for step in range(1, 5):
        gradient = rng.normal(size=(2, 2))
        m, u = 0.8 * m + 0.2 * gradient, np.maximum(0.7 * u, np.abs(gradient))
        weight = weight - 0.01 / (1 - 0.8**step) * m / (u + 0.1)
        update(gradient, rate=0.01)
    np.testing.assert_allclose(numbers(updater.weights)[0], weight, rtol=1e-5)


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_adamw_against_the_published_rule(epsilon):
    updater, update = make(
        optimizer="adamw", beta_1=0.9, beta_2=0.9, epsilon=epsilon, weight_decay=0.0, ema_decay=0,
        skip_norm=0,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    weight, m, v = np.ones((2, 2)), 0.0, 0.0
    for step in range(1, 5):
        gradient = rng.normal(size=(2, 2))
        m, v = 0.9 * m + 0.1 * gradient, 0.9 * v + 0.1 * gradient**2
        corrected = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.9**step)) + epsilon)
        weight = weight - 0.01 * corrected
        update(gradient, rate=0.01)
    np.testing.assert_allclose(numbers(updater.weights)[0], weight, rtol=1e-5)


def test_an_optimizer_that_is_none_is_refused():
    odd = SimpleNamespace(name="odd", build=lambda settings: 3)
    config = TrainConfig().model_copy(update={"optimizer": odd})
    with pytest.raises(PluginError, match=r"'odd' built an object of type int; expected a keras"):
        Updater(config, [])
