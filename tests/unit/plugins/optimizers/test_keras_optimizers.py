"""Every optimizer: its options are Keras's, it learns, skips, stops and goes on."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program
from hvae_core.config import TrainConfig, parse_config
from hvae_core.interfaces import OptimizerSettings
from hvae_core.plugins import manager
from hvae_core.training.optimizer import Updater

NAMES = sorted(entry.name for entry in manager().entries("optimizer"))
#: options that change an optimizer's state or rule, beside its defaults
OTHERS = [
    {"name": "adamw", "amsgrad": True},
    {"name": "sgd", "nesterov": True},
    {"name": "rmsprop", "momentum": 0.9, "centered": True},
    {"name": "adafactor", "clip_threshold": 0.5},
    {"name": "muon", "rms_rate": None, "nesterov": False},
]
SHARED = {"learning_rate", "weight_decay", "beta_1", "beta_2", "epsilon"}
#: Keras's arguments for things that the training step does itself
STEP = {"clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "name", "kwargs",
        "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps"}  # fmt: skip
RATES = {"sgd": 0.1, "adadelta": 30.0, "adagrad": 0.3, "ftrl": 0.5, "lamb": 0.1, "lion": 0.01}


def label(chosen):
    return chosen if isinstance(chosen, str) else "-".join(map(str, chosen.values()))


@pytest.mark.parametrize("name", NAMES)
def test_the_options_are_keras_s(name):
    plugin = manager().get("optimizer", name).builder.__self__
    signature = inspect.signature(getattr(keras.optimizers, plugin.keras_name).__init__)
    theirs = {
        key: parameter.default
        for key, parameter in signature.parameters.items()
        if key not in {"self", *SHARED, *STEP, *plugin.settings}
    }
    ours = dict(plugin.options())
    if name == "muon":  # which layers of this model are Adam's; it has no embeddings
        assert theirs.pop("exclude_layers") is None
        assert theirs.pop("exclude_embeddings") is True
        assert ours.pop("exclude_layers") == ("encoder/stem/", "readout/out/")
    if name == "adafactor":  # min(min(lr, 1 / sqrt(n)), 1 / sqrt(n)), with it and without
        assert theirs.pop("relative_step") is True
    assert ours == theirs
    assert set(plugin.settings.values()) <= SHARED


def test_every_optimizer_of_keras_is_there():
    kinds = {
        name.lower()
        for name, kind in vars(keras.optimizers).items()
        if inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer)
    }
    # No rule of their own; and one whose weights are not those to be evaluated.
    others = {"optimizer", "lossscaleoptimizer", "multioptimizer", "schedulefreeadamw"}
    assert kinds - others == set(NAMES)


class Problem:
    """A convolution, a bias and a dense matrix that are to reproduce another's output."""

    def __init__(self, optimizer, **options):
        rng = np.random.default_rng(0)
        self.weights = []
        with keras.name_scope("layer"):
            for name, shape in (
                ("kernel", (3, 3, 2, 4)), ("bias", (4,)), ("kernel", (4, 3)), ("gain", (4,)),
            ):  # fmt: skip
                value = rng.normal(0.0, 0.3, shape).astype("f")
                self.weights.append(keras.Variable(value, name=name))
        self.x = rng.normal(size=(8, 5, 5, 2)).astype("f")
        target = [rng.normal(0.0, 0.3, tuple(v.shape)).astype("f") for v in self.weights]
        self.y = ops.convert_to_numpy(self.predict(*map(ops.convert_to_tensor, target)))
        name = optimizer if isinstance(optimizer, str) else optimizer["name"]
        values = {"learning_rate": RATES.get(name, 0.03), "ema_decay": 0.5, **options}
        self.config = TrainConfig(optimizer=optimizer, **values)
        self.updater = Updater(self.config, self.weights)
        self.program = Program(self.step, [*self.weights, *self.updater.variables], compile=True)

    def predict(self, kernel, bias, matrix, gain):
        return (ops.conv(self.x, kernel, padding="same") + bias) * (1.0 + gain) @ matrix

    def step(self, step, rate, finite):
        from hvae_core.backends.compiling import value_and_grad

        def loss():
            found = self.predict(*(v.value for v in self.weights))
            return ops.mean(ops.square(ops.subtract(found, self.y))), ()

        value, _, gradients = value_and_grad(loss, self.weights)
        _, applied = self.updater.apply(gradients, step, rate, finite)
        return value, applied

    def run(self, steps, finite=True):
        losses = []
        for step in steps:
            value, _ = self.program(
                ops.convert_to_tensor(step, "int32"),
                ops.convert_to_tensor(self.config.learning_rate, "float32"),
                ops.convert_to_tensor(finite),
            )
            losses.append(float(value))
        self.program.sync()
        return losses

    def state(self):
        variables = [*self.weights, *self.updater.variables]
        return [ops.convert_to_numpy(variable.value).copy() for variable in variables]

    def load(self, arrays):
        for variable, array in zip([*self.weights, *self.updater.variables], arrays, strict=True):
            variable.assign(array)


def learns_skips_and_goes_on(optimizer):
    problem = Problem(optimizer)
    losses = problem.run(range(5))
    middle = problem.state()
    problem.run([5], finite=False)
    for array, other in zip(middle, problem.state(), strict=True):
        np.testing.assert_array_equal(array, other)
    losses += problem.run(range(5, 10))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]
    last = problem.state()
    problem.load(middle)  # what a resumed run does; a state that is not in the variables would show
    problem.run(range(5, 10))
    for array, other in zip(last, problem.state(), strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-6, atol=1e-7)


@pytest.mark.every_backend
@pytest.mark.parametrize("optimizer", NAMES)
def test_it_learns_skips_and_goes_on_from_its_state(optimizer):
    learns_skips_and_goes_on(optimizer)


@pytest.mark.parametrize("optimizer", OTHERS, ids=label)
def test_other_options_do_so_too(optimizer):
    learns_skips_and_goes_on(optimizer)


@pytest.mark.parametrize("optimizer", [*NAMES, *OTHERS], ids=label)
def test_checkpoints_keep_its_variables_by_number(optimizer):
    shapes = [
        [tuple(variable.shape) for variable in Problem(optimizer).updater.variables]
        for _ in range(2)
    ]
    assert shapes[0] == shapes[1]


def shrinks_kernels_alone(optimizer):
    """The first update with and without differs by rate x decay x weight."""
    with_decay, without = (
        Problem(optimizer, weight_decay=decay, learning_rate=0.01) for decay in (0.5, 0.0)
    )
    start = [ops.convert_to_numpy(v.value).copy() for v in without.weights]
    for problem in (with_decay, without):
        problem.run([0])
    for index, value in enumerate(start):
        decayed, plain = (
            ops.convert_to_numpy(p.weights[index].value) for p in (with_decay, without)
        )
        if index in (1, 3):
            np.testing.assert_array_equal(decayed, plain)
        elif optimizer not in ("lamb", "adafactor", "ftrl"):  # whose step depends on the weight
            np.testing.assert_allclose(plain - decayed, 0.005 * value, atol=1e-6)
        else:
            assert np.abs(plain - decayed).max() > 1e-4


@pytest.mark.every_backend
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_weight_decay_shrinks_kernels_alone(optimizer):
    shrinks_kernels_alone(optimizer)


@pytest.mark.parametrize("optimizer", sorted({*NAMES} - {"adamw", "muon"}))
def test_weight_decay_of_the_others(optimizer):
    shrinks_kernels_alone(optimizer)


@pytest.mark.parametrize("optimizer", [*NAMES, *OTHERS], ids=label)
def test_as_many_arrays_are_kept_as_is_said(optimizer):
    problem = Problem(optimizer)
    chosen = problem.config.optimizer
    said = chosen.spec.state_arrays(chosen.options, problem.config.optimizer_settings)
    size = sum(np.prod(v.shape) for v in problem.weights)
    kept = sum(np.prod(v.shape) for v in problem.updater.optimizer.variables)
    # beside counters, factors of rows and columns, and Muon's second moment of the few
    assert said * size <= kept < (said + 0.75) * size


@pytest.mark.every_backend
def test_muon_makes_the_steps_of_kernels_orthogonal_and_leaves_the_rest_to_adam():
    problem = Problem("muon", weight_decay=0.0, ema_decay=0.0)
    optimizer = problem.updater.optimizer
    assert [v is None for v in optimizer.adam_velocities] == [True, False, True, False]
    before = problem.state()[:4]
    problem.run([0])
    steps = [new - old for new, old in zip(problem.state()[:4], before, strict=True)]
    rate = problem.config.learning_rate
    for step in (steps[0].reshape(18, 4), steps[2]):
        singular = np.linalg.svd(step, compute_uv=False) / (rate * 0.2 * max(step.shape) ** 0.5)
        singular = singular[:3]  # the gradient comes through three outputs
        assert (singular > 0.5).all()
        assert (singular < 1.3).all()
    # Adam's first step is the rate.
    np.testing.assert_allclose(np.abs(steps[1]), rate, rtol=1e-3)


@pytest.mark.every_backend
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_makes_keras_s_updates_many_at_a_time(nesterov):
    from hvae_plugins.optimizers.muon import with_kernels_as_matrices

    ours = with_kernels_as_matrices(keras.optimizers.Muon)

    class OneByOne(ours):
        """Keras's own way, with kernels as matrices."""

        def zeropower_via_newtonschulz5(self, x, steps):
            matrix = keras.ops.reshape(x, (-1, x.shape[-1]))
            return keras.ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)

        def lr_adjust(self, x):
            return x * 0.2 * max(np.prod(x.shape[:-1]), x.shape[-1]) ** 0.5

        def _backend_update_step(self, grads, trainable_variables, learning_rate):
            for gradient, variable in zip(grads, trainable_variables, strict=True):
                self.update_step(gradient, variable, learning_rate)

    found = []
    for kind in (ours, OneByOne):
        rng = np.random.default_rng(0)
        with keras.name_scope("layer"):
            weights = [
                keras.Variable(rng.normal(size=shape).astype("f"), name=name)
                for name, shape in (
                    ("kernel", (3, 3, 2, 4)), ("bias", (4,)), ("kernel", (18, 4)),
                    ("kernel", (4, 6)), ("gain", (3,)), ("kernel", (1, 1, 4, 6)),
                )
            ]  # fmt: skip
        optimizer = kind(0.01, weight_decay=0.1, adam_weight_decay=0.1, nesterov=nesterov)
        optimizer.build(weights)
        for _ in range(3):
            gradients = [rng.normal(size=weight.shape).astype("f") for weight in weights]
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], weights)
        state = [*weights, *(v for v in optimizer.variables if v.dtype == "float32")]
        found.append([keras.ops.convert_to_numpy(v) for v in state])
    for ours_, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours_, theirs, rtol=2e-5, atol=2e-6)


def test_muon_s_excluded_layers_are_adam_s():
    problem = Problem({"name": "muon", "exclude_layers": ["layer/"]})
    assert all(v is not None for v in problem.updater.optimizer.adam_velocities)


@pytest.mark.parametrize("block", [{"conv": "depthwise5"}, {"block": "nvae"}], ids=label)
def test_depthwise_kernels_are_adam_s(block):
    import hvae_core as hvae
    from hvae_core.layers import DepthwiseConvolution

    sizes = {"width": 8, "encoder_middle_width": 4, "decoder_middle_width": 4, "latent_width": 2}
    model = hvae.build(
        {"model": {"resolutions": [8, 1], **sizes, "encoder_blocks": 1, "decoder_blocks": 1,
                   **block, "readout": {"kind": "features"}}}
    )  # fmt: skip
    weights = model.trainable_variables
    layers = model._flatten_layers()
    depthwise = {id(layer.kernel) for layer in layers if isinstance(layer, DepthwiseConvolution)}
    optimizer = Updater(TrainConfig(optimizer="muon"), weights).optimizer
    by_adam = {
        id(weight): velocity is not None
        for weight, velocity in zip(weights, optimizer.adam_velocities, strict=True)
    }
    assert depthwise
    assert all(by_adam[weight] for weight in depthwise)
    assert not all(by_adam.values())


def test_settings_reach_the_optimizer():
    settings = OptimizerSettings(
        learning_rate=0.5, beta_1=0.1, beta_2=0.2, epsilon=0.3, weight_decay=0.4
    )
    for name in NAMES:
        plugin = manager().get("optimizer", name).builder.__self__
        built = plugin.build(plugin.options(), settings)
        for argument, setting in plugin.settings.items():
            assert getattr(built, argument) == getattr(settings, setting), (name, argument)
        assert built.weight_decay == 0.4
        for option, value in dict(plugin.options()).items():
            assert getattr(built, option) == value, (name, option)


#: another value of each option, that the updates are to show
CHANGES = {
    "amsgrad": True, "nesterov": None, "rho": 0.5, "momentum": 0.5, "centered": True,
    "beta_2_decay": -0.3, "epsilon_1": 1.0, "epsilon_2": 2.0, "clip_threshold": 0.1,
    "initial_accumulator_value": 3.0, "learning_rate_power": -0.2,
    "l1_regularization_strength": 0.1, "l2_regularization_strength": 0.5,
    "l2_shrinkage_regularization_strength": 0.5, "beta": 1.0, "muon_a": 3.0, "muon_b": -4.0,
    "muon_c": 1.5, "adam_lr_ratio": 0.5, "ns_steps": 2, "rms_rate": 0.7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name in NAMES
        for option in manager().get("optimizer", name).config.model_fields
        if option != "exclude_layers"
    ],
)
def test_an_option_changes_the_updates(name, option):
    value = CHANGES[option]
    if value is None:  # it is on or off, by the optimizer
        value = not manager().get("optimizer", name).config.model_fields[option].default
    problems = Problem(name), Problem({"name": name, option: value})
    for problem in problems:
        problem.run(range(6))
    plain, changed = (problem.state()[0] for problem in problems)
    assert np.abs(plain - changed).max() > 1e-6


def test_files_hold_the_plain_name_where_no_option_is_changed():
    def written(value):
        return parse_config({"train": {"optimizer": value}}).to_dict()["train"]["optimizer"]

    assert written("adamw") == "adamw"
    assert written({"name": "adamw", "amsgrad": False}) == "adamw"
    assert written({"name": "adamw", "amsgrad": True}) == {"name": "adamw", "amsgrad": True}
    changed = parse_config({}, ["train.optimizer.name=sgd", "train.optimizer.nesterov=true"])
    assert changed.train.optimizer.options.nesterov
    assert parse_config(changed.to_dict()) == changed
