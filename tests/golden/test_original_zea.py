"""What zea's hierarchical VAE computes, computed here: layer by layer, with its recorded noise.

The numbers are of ``zea.models.hvae`` (zea 0.1.8, Apache-2.0) on a small model with random weights.
A cut of them (one image, evenly spaced values) lies in the fixtures.
"""

import functools
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import compiled
from hvae_core.prob.noise import Noise
from hvae_core.weights import assign, read_tensors
from hvae_plugins.importers.zea import ZeaConfig, ZeaImporter

pytestmark = pytest.mark.every_backend

LAYERS = 7
STATISTICS = {"q_mean": 3e-6, "q_std": 3e-6, "p_mean": 3e-6, "p_std": 3e-6, "z": 1e-5}


@pytest.fixture(params=["fixture", "whole"])
def golden(request) -> Path:
    if request.param == "fixture":
        return request.getfixturevalue("repeated_fixtures") / "zea"
    return request.getfixturevalue("shared_folder") / "goldens" / "zea"


@functools.cache
def imported(folder: Path, from_zeros: bool = False):
    """The model, and what was recorded.

    Args:
        folder: of the original's files.
        from_zeros: its decoder starts from zeros, whatever start was learned.
    """
    from hvae_core.vae import HierarchicalVAE

    found = ZeaImporter(ZeaConfig()).read(folder, None, {})
    model = HierarchicalVAE(found.config)
    assign(model, found.arrays)
    if from_zeros:
        start = model.decoder.biases["1"]
        start.assign(np.zeros(start.shape, np.float32))
    name = "recorded" if (folder / "recorded.safetensors").is_file() else "io"
    return model, read_tensors(folder / f"{name}.safetensors")


@functools.cache
def program(model, kind: str):
    """`infer` or `generate` of a model as one function of arrays."""

    def infer(x, *noise):
        out = model.infer(x, Noise(list(noise)))
        layers = [
            (o.posterior.mean, ops.exp(o.posterior.log_std), o.prior.mean,
             ops.exp(o.prior.log_std), o.z, o.kl)
            for o in out.layers
        ]  # fmt: skip
        return out.parameters, layers

    def generate(temperature, *noise):
        return model.generate(list(noise), temperature)

    return compiled({"infer": infer, "generate": generate}[kind], model.variables)


def run(model, kind, *arrays):
    return program(model, kind)(*(ops.convert_to_tensor(array) for array in arrays))


def noise(recorded, prefix=""):
    return [recorded[f"{prefix}layer.{index:02d}.eps"] for index in range(LAYERS)]


def close(actual, expected, atol, what):
    """``expected`` may be evenly spaced values of the whole."""
    actual = ops.convert_to_numpy(actual)
    if expected.shape != actual.shape:
        rows = expected.shape[0] if expected.ndim > 1 else len(actual)
        actual = actual[:rows]
    if expected.ndim == 1 and expected.shape != actual.shape:
        places = np.linspace(0, actual.size - 1, min(expected.size, actual.size)).astype(int)
        actual = actual.ravel()[places]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol, err_msg=what)


def test_every_layer_s_statistics_kl_and_the_mixture_s_parameters(golden):
    model, recorded = imported(golden)
    logits, layers = run(model, "infer", recorded["input_uint8_nhwc"], *noise(recorded))
    for index, (*values, kl) in enumerate(layers):
        for value, (name, atol) in zip(values, STATISTICS.items(), strict=True):
            close(value, recorded[f"layer.{index:02d}.{name}"], atol, f"{name} {index}")
        np.testing.assert_allclose(
            ops.convert_to_numpy(kl), recorded["kl"][:, index], rtol=1e-6, atol=3e-5
        )
    close(logits, recorded["logits"], 2e-5, "logits")


def test_samples_of_the_prior(golden):
    model, recorded = imported(golden)
    drawn = noise(recorded, "uncond.")
    close(
        run(model, "generate", np.float32(1.0), *drawn), recorded["uncond.logits"], 2e-5, "logits"
    )
    cooler = run(model, "generate", np.float32(0.7), *drawn)[:1, ::2, ::2]
    close(cooler, recorded["uncond_t0.7.logits_every_2nd_pixel"], 2e-5, "logits at 0.7")


def test_the_posterior_of_a_masked_measurement(golden):
    """Columns that were not measured are -1, which is 0 here."""
    model, recorded = imported(golden)
    seen = recorded["masked.columns_seen"][:, None, :, None] > 0.5
    masked = np.where(seen, recorded["input_uint8_nhwc"], 0).astype(np.uint8)
    logits, layers = run(model, "infer", masked, *noise(recorded, "masked."))
    for index, (mean, std, *_, kl) in enumerate(layers):
        for value, name in ((mean, "q_mean"), (std, "q_std")):
            close(value, recorded[f"masked.layer.{index:02d}.{name}"], 3e-6, f"{name} {index}")
        np.testing.assert_allclose(
            ops.convert_to_numpy(kl), recorded["masked.kl"][:, index], rtol=1e-6, atol=3e-5
        )
    close(logits[:1], recorded["masked.logits"], 2e-5, "logits")


def test_draws_of_a_measurement_s_first_layers(golden):
    """One draw of the posterior's first layers, several of the prior's others; from zeros."""
    model, recorded = imported(golden, from_zeros=True)
    count, rows = int(recorded["partial.k"][0]), 3
    eps = noise(recorded, "partial.")
    whole = [*eps[:count], *(array[:1] for array in eps[count:])]
    _, layers = run(model, "infer", recorded["input_uint8_nhwc"][:1], *whole)
    given = [layer[4] for layer in layers[:count]]
    for index, z in enumerate(given):
        close(z, recorded[f"partial.layer.{index:02d}.z"], 1e-5, f"z {index}")

    def generate(*arrays):
        latents = [ops.repeat(array, rows, axis=0) for array in arrays[:count]]
        return model.generate([*latents, *arrays[count:]], 1.0, given=latents)

    logits = compiled(generate, model.variables)(
        *given, *(ops.convert_to_tensor(array) for array in eps[count:])
    )
    close(logits[:, ::2, ::2], recorded["partial.logits_every_2nd_pixel"], 2e-5, "logits")


def test_images_drawn_from_the_mixture(golden):
    """To half a grey level, to which images are rounded here."""
    model, recorded = imported(golden)
    logits = recorded.get("logits_every_4th_pixel", recorded["logits"])
    uniform = np.concatenate([recorded["u_mixture"], recorded["u_logistic"]], axis=-1)
    image = model.likelihood.sample(ops.convert_to_tensor(logits), ops.convert_to_tensor(uniform))
    got = ops.convert_to_numpy(image).astype(np.float32) / 127.5 - 1.0
    np.testing.assert_allclose(got, recorded["image"], atol=1.0 / 255.0 + 1e-3)
