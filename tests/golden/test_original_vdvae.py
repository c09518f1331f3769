"""What the original VDVAE computes, computed here: layer by layer, with its recorded noise.

The numbers are of openai/vdvae on a small model. A cut of them (one image, some values of each
statistic) lies in the fixtures; all of them in the reference data, whose README gives the
tolerances, measured on the original in float32 against float64.
"""

import functools
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from hvae_core.config import parse_config
from hvae_core.weights import assign, read_tensors, weight_names
from hvae_plugins.importers.openai_vdvae.configurations import translate
from hvae_plugins.importers.openai_vdvae.original_tensors import from_original, to_original

pytestmark = pytest.mark.every_backend

STATISTICS = {"q_mean": 3e-6, "q_logsigma": 3e-6, "p_mean": 3e-6, "p_logsigma": 3e-6, "z": 1e-5}
#: steps of the recorded training and its rules
TRACE = {
    "batch_size": 4, "optimizer": "adamw", "beta_1": 0.9, "beta_2": 0.9, "learning_rate": 0.002,
    "weight_decay": 0.1, "decay_all_weights": True, "ema_decay": 0.9, "ema_warmup": False,
    "clip_norm": 0.75, "skip_norm": 0.85, "schedule": "constant", "warmup_steps": 3,
}  # fmt: skip


@pytest.fixture(params=["fixture", "base", "loud"])
def golden(request) -> Path:
    if request.param == "fixture":
        return request.getfixturevalue("repeated_fixtures") / "openai-vdvae"
    return request.getfixturevalue("shared_folder") / "goldens" / "vdvae" / request.param


@pytest.fixture
def base(shared_folder) -> Path:
    return shared_folder / "goldens" / "vdvae" / "base"


@functools.cache
def original(folder: Path):
    """The model, for all tests that leave its weights as they are, and the tensors."""
    return original_model(folder)


def original_model(folder: Path, **train):
    from hvae_core.vae import HierarchicalVAE

    config = translate(json.loads((folder / "config.json").read_text()))
    config = parse_config({**config, "train": {**config["train"], **train}})
    model = HierarchicalVAE(config)
    tensors = read_tensors(folder / "state_dict.safetensors")
    assign(model, from_original(tensors, config))
    return model, tensors


def recorded(folder: Path) -> dict[str, np.ndarray]:
    name = "recorded" if (folder / "recorded.safetensors").is_file() else "io"
    return read_tensors(folder / f"{name}.safetensors")


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def noise_of(tensors, layers: int, prefix: str = "") -> list[np.ndarray]:
    return [channels_last(tensors[f"{prefix}block.{index:02d}.eps"]) for index in range(layers)]


def assert_close(actual: np.ndarray, expected: np.ndarray, atol: float, what: str) -> None:
    """``actual`` is channels last; ``expected`` NCHW, or evenly spaced values of that."""
    if actual.ndim == 4:
        actual = actual.transpose(0, 3, 1, 2)
    if expected.ndim == 1 and expected.shape != actual.shape:
        places = np.linspace(0, actual.size - 1, expected.size).astype(int)
        actual = actual.ravel()[places]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol, err_msg=what)


def test_every_layer_computes_the_original_s_numbers(golden):
    from keras import ops

    from hvae_core.backends.compiling import compiled
    from hvae_core.prob.noise import Noise

    model, _ = original(golden)
    tensors = recorded(golden)
    images = tensors["input_uint8_nhwc"]
    layers = len(model.latent_shapes)

    def run(x, *noise):
        options = model.config.model
        scaled = (ops.cast(x, "float32") - options.input_mean) / options.input_scale
        stream, _ = model.decoder.infer(model.encoder(scaled), Noise(list(noise)))
        out = model.infer(x, Noise(list(noise)))
        statistics = [
            (o.posterior.mean, o.posterior.log_std, o.prior.mean, o.prior.log_std, o.z, o.kl)
            for o in out.layers
        ]
        features = stream * model.readout.gain + model.readout.bias
        return out.log_likelihood, out.parameters, features, statistics

    arrays = [ops.convert_to_tensor(a) for a in (images, *noise_of(tensors, layers))]
    outputs = compiled(run, model.variables)(*arrays)
    log_likelihood, parameters, features, statistics = outputs
    for index, values in enumerate(statistics):
        *values, kl = [ops.convert_to_numpy(value) for value in values]
        block = f"block.{index:02d}"
        for (name, tolerance), value in zip(STATISTICS.items(), values, strict=True):
            assert_close(value, tensors[f"{block}.{name}"], tolerance, f"{block}.{name}")
        np.testing.assert_allclose(kl, tensors[f"{block}.kl_sum"], rtol=2e-6, atol=1e-4)
    assert_close(ops.convert_to_numpy(features), tensors["px_z"], 2e-5, "px_z")
    mixture = ops.convert_to_numpy(parameters)
    expected = tensors["dmol_params_nhwc"]
    if expected.ndim == 1:
        mixture = mixture.ravel()[np.linspace(0, mixture.size - 1, expected.size).astype(int)]
    np.testing.assert_allclose(mixture, expected, rtol=0, atol=2e-5)
    dimensions = images[0].size
    nll = -ops.convert_to_numpy(log_likelihood) / dimensions
    np.testing.assert_allclose(nll, tensors["nll_per_image"], rtol=0, atol=5e-5)


def test_the_bound_is_the_original_s(golden):
    model, _ = original(golden)
    tensors = recorded(golden)
    images = tensors["input_uint8_nhwc"]
    out = model.elbo(images, noise=noise_of(tensors, len(model.latent_shapes)))
    dimensions = images[0].size
    np.testing.assert_allclose(out.kl / dimensions, tensors["rate_per_image"], rtol=2e-6)
    np.testing.assert_allclose(-out.elbo / dimensions, tensors["elbo_per_image"], atol=5e-5)


def test_weights_go_back_bit_for_bit(golden):
    from hvae_core.weights import model_arrays

    model, tensors = original(golden)
    back = to_original(model_arrays(model), model.config)
    assert set(back) == set(tensors)
    for name, array in tensors.items():
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes(), name


def test_gradients_are_the_original_s(golden):
    if golden.name == "openai-vdvae":
        pytest.skip("gradients are of four images, the fixture has one")
    from keras import ops

    if golden.name == "base" and keras.config.backend() != "torch":
        pytest.skip("those of larger weights show more")

    from hvae_core.backends.compiling import Program, value_and_grad
    from hvae_core.prob.noise import Noise

    model, _ = original(golden)
    tensors = recorded(golden)
    images = tensors["input_uint8_nhwc"]
    noise = noise_of(tensors, len(model.latent_shapes))
    weights = model.trainable_variables

    def loss():
        out = model.infer(
            ops.convert_to_tensor(images), Noise([ops.convert_to_tensor(n) for n in noise])
        )
        return ops.mean(out.kl - out.log_likelihood) / images[0].size, ()

    program = Program(lambda: value_and_grad(loss, weights)[2], weights, compile=True)
    gradients = program()
    program.sync()
    names = {id(variable): name for name, variable in weight_names(model).items()}
    by_name = {
        names[id(weight)]: ops.convert_to_numpy(gradient)
        for weight, gradient in zip(weights, gradients, strict=True)
    }
    actual = to_original(by_name, model.config)
    expected = read_tensors(golden / "grads_f64.safetensors")
    for name, gradient in expected.items():
        error = np.linalg.norm(actual[name] - gradient) / max(np.linalg.norm(gradient), 1e-12)
        assert error < 2e-3, (name, error)


def test_sampled_images_are_the_original_s(base):
    from keras import ops

    from hvae_core.backends.compiling import compiled
    from hvae_core.prob.noise import Noise

    model, _ = original(base)
    tensors = read_tensors(base / "sampling.safetensors")
    prefix = "uncond_t0.85."
    layers = len(model.latent_shapes)
    uniform = np.concatenate([tensors[f"{prefix}u_mixture"], tensors[f"{prefix}u_logistic"]], -1)

    def run(temperature, uniform, *noise):
        stream, latents = model.decoder.generate(Noise(list(noise)), temperature)
        parameters = model.readout(latents, stream)
        return latents, parameters, model.likelihood.sample(parameters, uniform)

    arrays = [np.float32(0.85), uniform, *noise_of(tensors, layers, prefix)]
    outputs = compiled(run, model.variables)(*[ops.convert_to_tensor(a) for a in arrays])
    latents, parameters, images = outputs
    for index, z in enumerate(latents):
        expected = tensors[f"{prefix}block.{index:02d}.z"]
        assert_close(ops.convert_to_numpy(z), expected, 1e-5, f"z of block {index}")
    np.testing.assert_allclose(
        ops.convert_to_numpy(parameters), tensors[f"{prefix}dmol_params_nhwc"], atol=2e-5
    )
    expected = tensors[f"{prefix}image_uint8"].astype(int)
    distance = np.abs(ops.convert_to_numpy(images).astype(int) - expected)
    # A value near a whole number may be cut off to either side, a tie of mixtures go either way.
    assert (distance > 0).mean() < 2e-3
    assert (distance > 1).mean() < 2e-4


def test_a_temperature_for_each_layer(base):
    if keras.config.backend() != "torch":
        pytest.skip("which layer has which")
    model, _ = original(base)
    layers = len(model.latent_shapes)
    one = model.sample(2, temperature=0.85, seed=3)
    np.testing.assert_array_equal(model.sample(2, temperature=[0.85] * layers, seed=3), one)
    np.testing.assert_array_equal(
        model.sample(2, temperature=None, seed=3), model.sample(2, temperature=1.0, seed=3)
    )
    mixed = model.sample(2, temperature=[0.85] * (layers - 1) + [0.1], seed=3)
    assert (mixed != one).any()


def test_eight_training_steps_are_the_original_s(base):
    from keras import ops

    from hvae_core.training.schedules import learning_rate
    from hvae_core.training.step import build_step
    from hvae_core.weights import model_arrays

    model, start = original_model(base, **TRACE)
    tensors = read_tensors(base / "train_trace.safetensors")
    step = build_step(model, model.config.train)
    for index, images in enumerate(tensors["images_uint8"]):
        noise = noise_of(tensors, len(model.latent_shapes), f"step.{index}.")
        flat = np.concatenate([layer.reshape(len(images), -1) for layer in noise], axis=1)
        rate = learning_rate(model.config.train, index, 1000, 1000)
        assert rate == pytest.approx(tensors["stats.lr"][index])
        figures = step(images, step=index, learning_rate=rate, beta=1.0, noise=flat)
        for ours, theirs in (
            ("loss", "elbo"), ("distortion", "distortion"), ("rate", "rate"),
            ("gradient_norm", "grad_norm"), ("skipped", "skipped"),
        ):  # fmt: skip
            actual = float(ops.convert_to_numpy(figures[ours]))
            assert actual == pytest.approx(tensors[f"stats.{theirs}"][index], rel=1e-3), theirs
    step.sync()
    final = to_original(model_arrays(model), model.config)
    with step.ema_weights():
        averaged = to_original(model_arrays(model), model.config)
    for prefix, actual in (("final", final), ("final_ema", averaged)):
        for name, array in actual.items():
            expected = tensors[f"{prefix}_f64.{name}"]
            update = np.linalg.norm(expected - start[name])
            assert np.linalg.norm(array - expected) < 1e-3 * update, (prefix, name)
