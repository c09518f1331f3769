"""Noise drawn on a device is that of `hvae_core.prob.noise`."""

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends import device_noise
from hvae_core.backends.compiling import compiled
from hvae_core.prob import noise

pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.config.backend() == "openvino", reason="runs on processors alone"),
]
SEED = 2**62 + 12345
IMAGES = [0, 5, 2**34 + 7, 3 * 2**32 + 1]


def test_words_are_the_same_and_numbers_differ_by_rounding():
    # 8 words are a block, 2 a pair: parts of both
    count = 4003

    def drawn(keys, images):
        return (
            device_noise.words(keys[0], images, count),
            device_noise.normal(keys[0], images, count),
            device_noise.uniform(keys[1], images, count),
        )

    keys = np.stack([device_noise.round_keys(SEED, stream) for stream in (0, 1)])
    images = device_noise.image_words(IMAGES)
    found = compiled(drawn, [])(ops.convert_to_tensor(keys), ops.convert_to_tensor(images))
    words, normal, uniform = (ops.convert_to_numpy(value) for value in found)
    expected = [noise.words_of(SEED, noise.NORMAL, image, 0, count) for image in IMAGES]
    np.testing.assert_array_equal(words.view("u4"), expected)
    np.testing.assert_array_equal(uniform, noise.draw_uniform((count,), IMAGES, SEED))
    wanted = noise.draw_normal([(count, 1, 1)], IMAGES, SEED)
    assert np.abs(normal - wanted).max() < 1e-6
    assert normal.dtype == uniform.dtype == np.float32


def test_a_live_model_draws_on_a_device_that_is_no_processor(make_model, monkeypatch):
    model = make_model()
    by_processor = model.sample(3, seed=4)
    asked = []
    draw = device_noise.draw_on_device

    def spy(*args):
        asked.append(args[0])
        return draw(*args)

    monkeypatch.setattr(device_noise, "draws_on_device", lambda: True)
    monkeypatch.setattr(device_noise, "draw_on_device", spy)
    images = model.sample(3, seed=4)
    assert asked == [noise.NORMAL, noise.UNIFORM]
    # a pixel may lie on the edge between two values
    assert np.mean(images != by_processor) < 0.01
    bound = model.elbo(images, seed=4)
    monkeypatch.undo()
    np.testing.assert_allclose(bound.elbo, model.elbo(images, seed=4).elbo, rtol=1e-5)


def test_a_processor_draws_with_numpy():
    if keras.config.backend() == "jax":
        import jax

        on_cpu = jax.default_backend() == "cpu"
    else:
        from hvae_core.backends.devices import local_devices

        on_cpu = local_devices() == ["cpu:0"]
    assert device_noise.draws_on_device() is not on_cpu
