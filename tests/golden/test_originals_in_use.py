"""Imported models in their use, live and exported: draws of a masked measurement, and statistics.

A cut of what zea and Efficient-VDVAE computed lies in the fixtures; drawn pixels are every fourth.
"""

import functools

import keras
import numpy as np
import pytest

from hvae_core.exported.exported_model import load_exported
from hvae_core.inference import completion
from hvae_core.weights import read_tensors
from hvae_core.zoo.conversion import import_checkpoint

BACKEND = keras.config.backend()
pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(
        BACKEND not in ("torch", "openvino"), reason="numbers of each backend: test_original_*"
    ),
]

LAYERS = {"zea": 7, "efficient-vdvae": 9}
#: recorded uniform numbers: which component, and its value
PARTS = ("u_mixture", "u_logistic")


@pytest.fixture(scope="module", params=["zea", "efficient-vdvae"])
def original(request, fixtures_folder, tmp_path_factory):
    """A name, the model, and what was recorded; the model is an export with OpenVINO."""
    from hvae_core.api import load

    name, folder = request.param, fixtures_folder / request.param
    if name == "zea":
        given = (folder, None)
    else:
        given = (folder / "ema.safetensors", str(folder / "hparams-handed.cfg"))
    output = tmp_path_factory.mktemp(name) / "preset"
    import_checkpoint(name, given[0], output, given[1])
    model = load(output)
    if BACKEND == "openvino":
        model.export(output.parent / "export")
        model = load_exported(output.parent / "export")
    return name, model, read_tensors(folder / "recorded.safetensors")


def channels_last(name, array):
    return array if name == "zea" else np.ascontiguousarray(np.moveaxis(array, 1, -1))


def noise_of(original, prefix=""):
    name, _, recorded = original
    return [
        channels_last(name, recorded[f"{prefix}layer.{index:02d}.eps"])
        for index in range(LAYERS[name])
    ]


def spread(parts, rows=1):
    """Uniform numbers of every fourth pixel, 1/2 elsewhere."""
    fourth = np.concatenate(parts, axis=-1)
    whole = np.full((rows, 32, 32, fourth.shape[-1]), 0.5, np.float32)
    whole[:, ::4, ::4] = fourth
    return whole


def close(actual, expected, atol, rtol=0.0):
    """``expected`` are evenly spaced values of the whole."""
    places = np.linspace(0, actual.size - 1, expected.size).astype(int)
    np.testing.assert_allclose(actual.ravel()[places], expected.ravel(), rtol=rtol, atol=atol)


def test_statistics_and_kl_of_every_layer(original):
    name, model, recorded = original
    latents = model.encode(recorded["input_uint8_nhwc"], noise=noise_of(original))
    for index in range(LAYERS[name]):
        for key, array, atol in (
            ("q_mean", latents.posterior_mean[index], 3e-6),
            ("q_std", np.exp(latents.posterior_log_std[index]), 3e-6),
            ("p_mean", latents.prior_mean[index], 3e-6),
            ("p_std", np.exp(latents.prior_log_std[index]), 3e-6),
            ("z", latents.z[index], 1e-5),
        ):
            array = array if name == "zea" else np.moveaxis(array, -1, 1)
            close(array, recorded[f"layer.{index:02d}.{key}"], atol)
    kl, atol = ("kl", 3e-5) if name == "zea" else ("kl_nats", 1e-4)
    np.testing.assert_allclose(latents.kl_per_layer, recorded[kl], rtol=1e-6, atol=atol)


def as_pixels(image):
    return np.round(image * 127.5 + 127.5)


def test_an_image_drawn_from_all_latents(original, monkeypatch):
    name, model, recorded = original
    prefix = "" if name == "zea" else "draw."
    uniform = [channels_last(name, recorded[f"{prefix}{part}"]) for part in PARTS]
    from hvae_core.inference import decoding

    monkeypatch.setattr(decoding, "pixel_noise", lambda *_: spread(uniform))
    z = model.encode(recorded["input_uint8_nhwc"], noise=noise_of(original))[:1]
    drawn = model.decode(z)[:, ::4, ::4]
    expected = as_pixels(channels_last(name, recorded[f"{prefix}image"]))
    assert np.abs(drawn - expected).max() <= 1
    assert (drawn == expected).mean() > 0.97


@functools.cache
def mixture_of_zea():
    from hvae_core.config import create_component

    component = create_component(
        "likelihood", {"name": "logistic-mixture", "mixtures": 4, "log_scale_floor": -250.0}
    )
    return component.build((8, 8, 3))


def measured(original):
    recorded = original[2]
    known = np.broadcast_to(recorded["masked.columns_seen"][:, None] > 0.5, (1, 32, 32))
    return recorded["input_uint8_nhwc"][:1], known


def test_a_draw_of_a_masked_measurement(original, monkeypatch):
    """zea's real use: the unknown columns are black, all latents from the posterior."""
    name, model, recorded = original
    if name != "zea":
        pytest.skip("of zea alone")
    rng = np.random.default_rng(0)
    uniform = rng.uniform(size=(1, 8, 8, 7)).astype("f")
    noise = noise_of(original, "masked.")
    monkeypatch.setattr(completion, "latent_noise", lambda *_: noise)
    monkeypatch.setattr(completion, "pixel_noise", lambda *_: spread([uniform]))
    images, known = measured(original)
    drawn = model.posterior_sample(images, known, n=1, fill=0)[0][:, ::4, ::4]
    logits = keras.ops.convert_to_tensor(recorded["masked.logits_every_4th_pixel"])
    expected = mixture_of_zea().sample(logits, keras.ops.convert_to_tensor(uniform))
    expected = keras.ops.convert_to_numpy(expected).astype(int)
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    assert (drawn == expected).mean() > 0.97


def test_partial_inference_of_a_measurement_s_first_layers(original, monkeypatch):
    """k layers once, three draws of the others: zea's recorded images. It starts from zeros."""
    name, model, recorded = original
    if name != "zea" or BACKEND != "torch":
        pytest.skip("of zea alone, with another start than the exported one")
    start = model.decoder.biases["1"]
    learned = keras.ops.convert_to_numpy(start.value)
    count, noise = int(recorded["partial.k"][0]), noise_of(original, "partial.")
    parts = [recorded[f"partial.draw.{part}"] for part in PARTS]

    def latent_noise(engine, numbers, seed, depth=None):
        if depth is not None:
            return noise[:depth]
        return [np.repeat(layer, 3 // len(layer), axis=0) for layer in noise]

    monkeypatch.setattr(completion, "latent_noise", latent_noise)
    monkeypatch.setattr(completion, "pixel_noise", lambda *_: spread(parts, rows=3))
    images = recorded["input_uint8_nhwc"][:1]
    try:
        start.assign(np.zeros(start.shape, np.float32))
        drawn = model.posterior_sample(images, np.ones((32, 32), bool), n=3, layers=count)
    finally:
        start.assign(learned)
    drawn = drawn.images[:, 0, ::4, ::4]
    expected = as_pixels(recorded["partial.draw.image"])
    assert np.abs(drawn - expected).max() <= 1
    assert (drawn == expected).mean() > 0.97
