"""What Efficient-VDVAE computes, computed here: layer by layer, with its recorded noise.

The numbers are of its PyTorch edition (MIT licence) on a small model with nine latent layers, six
levels at four sizes. A cut of them (evenly spaced values) lies in the fixtures.
"""

import functools
import math

import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program, compiled, value_and_grad
from hvae_core.prob.noise import Noise
from hvae_core.weights import assign, read_tensors, weight_names
from hvae_plugins.importers.efficient_vdvae import EfficientVDVAEConfig, EfficientVDVAEImporter
from hvae_plugins.importers.efficient_vdvae.state_dict import tensor_pairs

pytestmark = pytest.mark.every_backend

LAYERS = 9
STATISTICS = {"q_mean": 3e-6, "q_std": 3e-6, "p_mean": 3e-6, "p_std": 3e-6, "z": 1e-5}
#: cells in a block of each level on the way up
CELLS = [1, 1, 2, 1, 1, 1]


@pytest.fixture
def folder(fixtures_folder):
    """The cut, on every backend: no test takes the whole."""
    return fixtures_folder / "efficient-vdvae"


def arrays_of(folder, weights):
    importer = EfficientVDVAEImporter(EfficientVDVAEConfig(weights=weights))
    return importer.read(folder / f"{weights}.safetensors", str(folder / "hparams-handed.cfg"), {})


@functools.cache
def original(folder):
    """The model with the averaged weights, and what was recorded."""
    from hvae_core.vae import HierarchicalVAE

    found = arrays_of(folder, "ema")
    model = HierarchicalVAE(found.config)
    assign(model, found.arrays)
    return model, read_tensors(folder / "recorded.safetensors")


def channels_last(array):
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def noise_of(recorded, prefix=""):
    return [channels_last(recorded[f"{prefix}layer.{index:02d}.eps"]) for index in range(LAYERS)]


def close(actual, expected, atol, what=""):
    """``actual`` is channels last; ``expected`` are evenly spaced values of it in NCHW."""
    actual = np.moveaxis(ops.convert_to_numpy(actual), -1, 1)
    places = np.linspace(0, actual.size - 1, expected.size).astype(int)
    np.testing.assert_allclose(actual.ravel()[places], expected.ravel(), 0, atol, err_msg=what)


@functools.cache
def posterior_pass(model):
    """The posterior pass as one function of arrays."""

    def infer(x, *noise):
        out = model.infer(x, Noise(list(noise)))
        layers = [
            (o.posterior.mean, ops.exp(o.posterior.log_std), o.prior.mean,
             ops.exp(o.prior.log_std), o.z, o.kl)
            for o in out.layers
        ]  # fmt: skip
        return out.parameters, out.log_likelihood, layers

    return compiled(infer, model.variables)


def passed(folder):
    """The parameters, the log-likelihood and the layers' statistics of the recorded images."""
    model, recorded = original(folder)
    inputs = [recorded["input_uint8_nhwc"], *noise_of(recorded)]
    return posterior_pass(model)(*map(ops.convert_to_tensor, inputs))


def test_every_layer_s_statistics_kl_and_the_mixture_s_parameters(folder):
    _, recorded = original(folder)
    parameters, log_likelihood, layers = passed(folder)
    for index, (*values, kl) in enumerate(layers):
        for value, (name, atol) in zip(values, STATISTICS.items(), strict=True):
            close(value, recorded[f"layer.{index:02d}.{name}"], atol, f"{name} {index}")
        expected = recorded["kl_nats"][:, index]
        np.testing.assert_allclose(ops.convert_to_numpy(kl), expected, rtol=1e-6, atol=1e-4)
    close(parameters, recorded["out_params"], 1e-5, "parameters")
    nats = -ops.convert_to_numpy(log_likelihood)
    np.testing.assert_allclose(nats, recorded["recon_nats_per_image"], rtol=3e-6)


def test_samples_of_the_prior_at_two_temperatures(folder):
    """One for all layers, and one that rises with the level: a + (b - a) i / n."""
    model, recorded = original(folder)
    program = compiled(model.generate, model.variables)
    noise = [ops.convert_to_tensor(array) for array in noise_of(recorded, "uncond.")]
    same = np.ones(LAYERS, np.float32)
    drawn = program(noise, ops.convert_to_tensor(same))
    close(drawn, recorded["uncond.out_params"], 1e-5)
    levels = np.repeat(np.arange(6), [2, 1, 1, 2, 1, 2])
    linear = (0.7 + 0.2 * levels / 6).astype(np.float32)
    drawn = program(noise, ops.convert_to_tensor(linear))[:, ::2, ::2]
    close(drawn, recorded["uncond_linear.out_params_every_2nd_pixel"], 1e-5)


@pytest.fixture
def with_raw_weights(folder):
    """The model has its raw weights during a test."""
    model, _ = original(folder)
    averaged = {name: ops.convert_to_numpy(v.value) for name, v in weight_names(model).items()}
    assign(model, arrays_of(folder, "raw").arrays)
    yield model
    assign(model, averaged)


def test_raw_weights_give_their_recorded_kl(folder, with_raw_weights):
    _, recorded = original(folder)
    layers = passed(folder)[2]
    kl = np.stack([ops.convert_to_numpy(layer[-1]) for layer in layers], axis=1)
    np.testing.assert_allclose(kl, recorded["raw_weights.kl_nats"], rtol=1e-6, atol=1e-4)


def test_gradients_of_a_balanced_step_are_the_original_s(folder, with_raw_weights):
    """From the raw weights: beta, the balance of the layers, and every gradient."""
    from hvae_core.training.objective import Objective

    model, recorded = original(folder)
    step = {name[5:]: array for name, array in recorded.items() if name.startswith("step.")}
    objective = Objective(model, balances=True)
    images = ops.convert_to_tensor(step["input_uint8_nhwc"])
    noise = Noise([ops.convert_to_tensor(array) for array in noise_of(step)])
    weights = model.trainable_variables

    def loss():
        return objective(images, noise, float(step["beta"][0]), True)

    program = Program(lambda: value_and_grad(loss, weights), weights, compile=True)
    total, terms, gradients = program()
    program.sync()
    # The balance is in the total, and in the gradients.
    assert float(ops.convert_to_numpy(total)) == pytest.approx(step["total_loss"][0], abs=1e-5)
    nats = ops.convert_to_numpy(terms["kl_per_layer"]) / math.prod(images.shape[1:])
    np.testing.assert_allclose(nats, step["kl_loss_nats_per_dim"], atol=1e-6)
    names = {id(variable): name for name, variable in weight_names(model).items()}
    found_gradients = {
        names[id(weight)]: np.asarray(ops.convert_to_numpy(gradient), np.float64)
        for weight, gradient in zip(weights, gradients, strict=True)
    }
    pairs = tensor_pairs(model.config, CELLS)
    assert {pair.name for pair in pairs} == set(found_gradients)
    for pair in pairs:
        gradient = found_gradients[pair.name]
        norm = step[f"norm.{pair.original}"][0]
        assert np.linalg.norm(gradient) == pytest.approx(norm, rel=1e-3), pair.name
        gradient = np.roll(gradient, pair.rolled, axis=-1)
        if pair.layout == "kernel":
            gradient = gradient.transpose(3, 2, 0, 1)
        elif pair.layout == "map":
            gradient = gradient.transpose(0, 3, 1, 2)
        expected = step[f"grad.{pair.original}"]
        places = np.linspace(0, gradient.size - 1, expected.size).astype(int)
        np.testing.assert_allclose(gradient.ravel()[places], expected, atol=1e-3 * norm)


def test_pruned_latents_and_their_code(folder):
    """Half of all channels, by their KL; the others are drawn from the prior."""
    model, recorded = original(folder)
    images, noise = recorded["input_uint8_nhwc"], noise_of(recorded)
    statistics = model.encode(images, noise=noise)
    bits = np.stack(statistics.kl_per_channel()) / math.log(2.0)
    np.testing.assert_allclose(bits, recorded["encode.div_stats_bits"], rtol=1e-5, atol=1e-6)
    masks = statistics.most_informative(0.5)
    np.testing.assert_array_equal(np.stack(masks), recorded["encode.variate_masks"] > 0)
    drawn = {
        name: [
            channels_last(recorded[f"encode.layer.{index:02d}.{name}"]) for index in range(LAYERS)
        ]
        for name in ("eps", "prior_eps")
    }
    latents = model.encode(
        images[:1], noise=drawn["eps"], kept=masks, prior_noise=drawn["prior_eps"]
    )
    for index, code in enumerate(latents.code()):
        expected = recorded.get(f"encode.layer.{index:02d}.code")
        assert (expected is None) == (code.size == 0)
        if expected is not None:
            places = np.linspace(0, code.size - 1, expected.size).astype(int)
            np.testing.assert_allclose(code.ravel()[places], expected, atol=3e-6)
    program = compiled(model.generate, model.variables)
    z = [ops.convert_to_tensor(layer) for layer in latents.z]
    given = ops.convert_to_tensor(np.ones(LAYERS, np.float32))
    parameters = program(z, ops.convert_to_tensor(np.float32(1.0)), None, given)[:, ::2, ::2]
    close(parameters, recorded["encode.masked_out_params_every_2nd_pixel"], 1e-5)


def test_images_drawn_from_the_mixture(folder):
    model, recorded = original(folder)
    uniform = [channels_last(recorded[f"draw.u_{name}"]) for name in ("mixture", "logistic")]
    parameters = channels_last(recorded["draw.out_params"])
    image = model.likelihood.sample(
        ops.convert_to_tensor(parameters), ops.convert_to_tensor(np.concatenate(uniform, -1))
    )
    expected = np.round(channels_last(recorded["draw.image"]) * 127.5 + 127.5)
    assert np.abs(ops.convert_to_numpy(image).astype(np.float32) - expected).max() <= 1
    assert (ops.convert_to_numpy(image) == expected).mean() > 0.99


def test_the_density_of_wide_parameters_and_edges(folder):
    model, recorded = original(folder)
    x = channels_last(recorded["loss.target_uint8_nchw"])
    parameters = channels_last(recorded["loss.params"])
    found = model.likelihood.log_prob(ops.convert_to_tensor(x), ops.convert_to_tensor(parameters))
    expected = recorded["loss.nats_per_image"]
    np.testing.assert_allclose(-ops.convert_to_numpy(found), expected, rtol=5e-6)


def test_an_update_is_the_original_s_adamax_and_average(folder):
    """From its moments after six updates: eight numbers of each tensor, and averages of some."""
    import keras

    from hvae_core.config import TrainConfig
    from hvae_core.training.optimizer import Updater

    values = arrays_of(folder, "raw").config.train
    kept = {"optimizer", "epsilon", "beta_1", "beta_2", "weight_decay", "ema_decay", "ema_warmup"}
    config = TrainConfig(**values.model_dump(include=kept))
    recorded = read_tensors(folder / "update.safetensors")
    weight = keras.Variable(recorded["raw"], dtype="float32", name="numbers")
    updater = Updater(config, [weight])
    assert config.optimizer.name == "adamax"
    moments = dict(zip(("exp_avg", "exp_inf"), updater.optimizer.variables[2:], strict=True))
    for name, variable in moments.items():
        variable.assign(recorded[name])
    updater.optimizer.iterations.assign(6)
    places = recorded["ema.place"]
    average = np.zeros_like(recorded["raw"])
    average[places] = recorded["ema.before"]
    updater.averages[0].assign(average)
    gradient = ops.convert_to_tensor(recorded["gradient"])
    rate = ops.convert_to_tensor(recorded["learning_rate"][0])
    updater.apply([gradient], 6, rate, True)

    found = ops.convert_to_numpy(weight.value)
    # Keras adds epsilon to the largest gradient so far, the original before it is compared. So
    # they part where that is a few epsilons, by as much of the step as epsilon is of it.
    largest = ops.convert_to_numpy(moments["exp_inf"].value)
    step = np.abs(found - recorded["raw"])
    off = np.abs(found - recorded["after"])
    assert (off <= 1e-6 + 2e-8 / largest * step).all()
    assert (off > 2e-6).mean() < 0.02
    assert step.max() > 5e-4
    averages = ops.convert_to_numpy(updater.averages[0].value)[places]
    near = off[places] < 1e-6
    assert near.mean() > 0.9
    np.testing.assert_allclose(averages[near], recorded["ema.after"][near], atol=2e-6)
