"""What the page computes is what the model's own methods compute."""

import numpy as np
import pytest

from hvae_core.errors import BadInputError
from hvae_core.explore import actions
from hvae_core.inference.counterfactual import likeliest
from hvae_core.inference.rows import latent_noise

CONFIG = {
    "model": {
        "resolutions": [8, 4, 1],
        "image_channels": 1,
        "width": 8,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": [2, 1, 1],
        "readout": {"width": 8, "middle_width": 4, "blocks": 1},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2, "levels": 17},
}


@pytest.fixture(scope="module")
def model():
    """A tiny model whose weights are far from their start, so that no KL is zero."""
    import hvae_core as hvae

    model = hvae.build(CONFIG)
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(variable + rng.normal(0.0, 0.15, variable.shape).astype("float32"))
    return model


@pytest.fixture(scope="module")
def image(model):
    return model.sample(1, seed=5)[0]


def agreement(a, b):
    """The share of equal pixels: rounding may move one across a level."""
    assert a.shape == b.shape
    return float((a == b).mean())


def test_samples_are_the_model_s(model):
    drawn = actions.sample(model, 5, temperature=0.7, seed=3)
    assert drawn.shape == (5, 8, 8, 1)
    assert agreement(drawn, model.sample(5, temperature=0.7, seed=3)) > 0.99


@pytest.mark.parametrize("latents", [0, 2, 4])
def test_reconstructions_are_the_model_s(latents, model, image):
    done = actions.reconstruct(model, image, latents, temperature=0.8, seed=4)
    expected = model.reconstruct(image[None], latents=latents, temperature=0.8, seed=4)
    assert agreement(done.drawn, expected[0]) > 0.98


def test_edits_keep_exchange_and_move_latents(model, image):
    whole, some = (model.reconstruct(image[None], k, seed=4, temperature=0.5) for k in (4, 2))
    np.testing.assert_array_equal(actions.edit(model, image, range(4), seed=4), whole[0])
    kept = actions.edit(model, image, [0, 1], temperature=0.5, seed=4)
    np.testing.assert_array_equal(kept, some[0])
    np.testing.assert_array_equal(
        actions.edit(model, image, [], temperature=0.5, seed=4),
        model.sample(1, temperature=0.5, seed=4)[0],
    )
    other = model.sample(1, seed=6)[0]
    exchanged = actions.edit(model, image, [], other, seed=4)
    np.testing.assert_array_equal(exchanged, model.reconstruct(other[None], seed=4)[0])
    moved = actions.edit(model, image, range(4), move=(3, 1, 4.0), seed=4)
    assert (moved != whole[0]).any()
    with pytest.raises(BadInputError, match="Layer 4 has 2 channels; there is none of number"):
        actions.edit(model, image, range(4), move=(3, 2, 1.0))
    with pytest.raises(BadInputError, match="the layers 1 to 4"):
        actions.edit(model, image, [7])


def test_the_kl_and_the_bound_are_the_model_s(model, image):
    done = actions.reconstruct(model, image, 3, seed=4)
    out = model.elbo(image[None], noise=latent_noise(model, [0], 4))
    np.testing.assert_allclose(done.kl, out.kl_per_layer[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(done.cost, out.bits_per_dim[0], rtol=1e-4)
    assert done.unit == "bits/dim"
    rows = actions.kl_table(model, done.kl, 3)
    assert [row["layer"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["scale"] for row in rows] == ["1x1", "4x4", "8x8", "8x8"]
    assert [row["from"] for row in rows] == ["the image"] * 3 + ["the prior"]
    assert sum(row["nats"] for row in rows) == pytest.approx(done.kl.sum(), abs=0.01)


def test_the_way_between_two_images(model, image):
    other = model.sample(1, seed=6)[0]
    images = actions.interpolate(model, image, other, steps=4, seed=1)
    np.testing.assert_array_equal(images, model.interpolate(image, other, steps=4, seed=1))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, x: actions.sample(m, 65), "at most 64"),
        (lambda m, x: actions.sample(m, 0), "at least 1"),
        (lambda m, x: actions.sample(m, 4, temperature=-1.0), "temperature is -1"),
        (lambda m, x: actions.reconstruct(m, x, 5), "has 4 latents, not 5"),
        (lambda m, x: actions.reconstruct(m, x[:4], 2), "The image has shape"),
        (lambda m, x: actions.interpolate(m, x, x, steps=1), "at least 2"),
        (lambda m, x: actions.interpolate(m, x, x, steps=17), "at most 16"),
    ],
)
def test_what_cannot_be_done(call, match, model, image):
    with pytest.raises(BadInputError, match=match):
        call(model, image)


def test_small_images_are_enlarged(image):
    large = actions.enlarged(image, 33)
    assert large.shape == (32, 32, 1)
    np.testing.assert_array_equal(large[::4, ::4], image)
    assert actions.grid(np.stack([image] * 3), columns=3, width=100).shape == (32, 100, 1)


@pytest.mark.parametrize("channels", [2, 1], ids=["with the mask", "without the mask"])
@pytest.mark.parametrize("has", [{}, {"condition": {"name": "label", "classes": 3}}])
def test_images_are_measured_for_a_model_that_was_trained_on_measurements(image, channels, has):
    import hvae_core as hvae
    from hvae_core.data.measuring import measured

    options = {**CONFIG["model"], "input_channels": channels, **has}
    model = hvae.build({**CONFIG, "model": options, "measurement": "columns:0.5"})
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(variable + rng.normal(0.0, 0.15, variable.shape).astype("float32"))
    assert actions.sample(model, 2).shape == (2, 8, 8, 1)
    both = np.stack([image, image[::-1]])
    y, mask = measured(model.measurement, both, range(2), 4)
    inputs = model.encoder_inputs(y, mask)
    first, second = inputs[:1], inputs[1:]
    own = [None, None]
    if has:
        own = [likeliest(model, both[i : i + 1], 4, inputs=inputs[i : i + 1]) for i in (0, 1)]

    done = actions.reconstruct(model, image, 4, seed=4)
    expected = model.reconstruct(image[None], seed=4, inputs=first, condition=own[0])
    assert agreement(done.drawn, expected[0]) > 0.98
    np.testing.assert_array_equal(done.seen, y[0])
    edited = actions.edit(model, image, range(4), seed=4)
    np.testing.assert_array_equal(edited, expected[0])
    exchanged = actions.edit(model, image, [], both[1], seed=4)
    latents = model.encode(both[1:], seed=4, inputs=second, condition=own[1])
    theirs = model.decode(latents, seed=4, condition=own[0])
    np.testing.assert_array_equal(exchanged, theirs[0])
    way = actions.interpolate(model, *both, steps=3, seed=4)
    expected = model.interpolate(*both, 3, seed=4, inputs=inputs, condition=own[0])
    np.testing.assert_array_equal(way, expected)


def test_of_a_model_of_whole_images_the_image_is_what_it_sees(model, image):
    np.testing.assert_array_equal(actions.reconstruct(model, image, 2).seen, image)
