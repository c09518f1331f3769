"""The same weights at another size, and images in tiles."""

import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.errors import BadInputError, ConfigError
from hvae_core.inference.noise_of_tiles import DrawnRectangles
from hvae_core.prob.noise import draw_normal, draw_uniform, split_layers
from hvae_core.weights import model_arrays, weight_names

MODEL = {
    "resolutions": [8, 4, 2],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 2,
    "decoder_middle_width": 2,
    "latent_width": 1,
    "encoder_blocks": [0, 1, 0],
    "decoder_blocks": 1,
    "no_bias_above": 0,
    "readout": {"kind": "features"},
}
CONFIG = {
    "model": MODEL,
    "likelihood": {"name": "gaussian", "scale": "fixed", "fixed_scale": 0.1},
    "data": {"name": "python", "values": {"dtype": "float32"}},
}
IMAGES = np.random.default_rng(0).uniform(0, 1, (2, 40, 80, 1)).astype("f")


@pytest.fixture(scope="module")
def model():
    model = hvae.build(CONFIG)
    rng = np.random.default_rng(1)
    for name, value in model_arrays(model).items():
        weight_names(model)[name].assign(value + rng.normal(0, 0.2, value.shape).astype("f"))
    return model


@pytest.fixture(scope="module")
def whole(model):
    return model.at_size(40, 80)


def test_the_same_weights_at_another_size(model, whole, tmp_path):
    assert whole.latent_shapes == [(10, 20, 1), (20, 40, 1), (40, 80, 1)]
    arrays, others = model_arrays(model), model_arrays(whole)
    assert list(arrays) == list(others)  # names of files too
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name])
    again = hvae.load(whole.save(tmp_path / "preset"))
    assert again.image_shape == (40, 80, 1)
    assert model_arrays(again.at_size(8, 8)).keys() == arrays.keys()
    name = next(iter(arrays))
    weight_names(again)[name].assign(np.zeros_like(arrays[name]))
    weight_names(model.at_size(16, 8))[name].assign(np.zeros_like(arrays[name]))
    np.testing.assert_array_equal(model_arrays(model)[name], arrays[name])


def test_a_scale_keeps_its_kernels(model):
    """The coarsest one, of 2x2, has kernels of 1x1; blocks are those of the model's own size."""
    assert [stage.kernel_size for stage in model.at_size(64, 64).options.stages] == [3, 3, 1]
    depthwise = hvae.build({**CONFIG, "model": {**MODEL, "conv": "depthwise5"}})
    large = depthwise.at_size(16, 16)  # where 4x4 became 8x8, from which on kernels are 5x5
    assert {n: a.shape for n, a in model_arrays(large).items()} == {
        n: a.shape for n, a in model_arrays(depthwise).items()
    }


@pytest.mark.every_backend
def test_encoding_in_tiles_is_that_of_the_whole(model, whole):
    expected = whole.encode(IMAGES, seed=3)
    found = model.encode(IMAGES, seed=3, tile=(40, 56), overlap=24)
    for part in ("z", "posterior_mean", "prior_log_std"):
        for ours, theirs in zip(getattr(found, part), getattr(expected, part), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(found.kl_per_layer, expected.kl_per_layer, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("latents", [None, 1])
def test_reconstructing_in_tiles_is_that_of_the_whole(model, whole, latents):
    options = {"latents": latents, "seed": 3, "temperature": 0.8}
    expected = whole.reconstruct(IMAGES, **options)
    found = model.reconstruct(IMAGES, **options, tile=40, overlap=24)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with_seams = model.reconstruct(IMAGES, **options, tile=40, overlap=0)
    differs = np.abs(with_seams - expected).max(axis=(0, 1, 3)) > 1e-4
    assert differs[36:44].all()  # beside the seam
    assert not differs[:28].any()
    assert not differs[-28:].any()
    given = [
        np.random.default_rng(1).normal(size=(2, *shape)).astype("f")
        for shape in whole.latent_shapes
    ]
    np.testing.assert_allclose(
        model.reconstruct(IMAGES, **options, noise=given, tile=40, overlap=24),
        whole.reconstruct(IMAGES, **options, noise=given),
        atol=1e-5,
    )


def test_an_image_of_any_size_is_continued_as_in_a_mirror(model):
    image = IMAGES[:1, :37, :50]
    mirrored = np.pad(image, ((0, 0), (0, 3), (0, 2), (0, 0)), mode="symmetric")
    expected = model.at_size(40, 52).reconstruct(mirrored, seed=1)[:, :37, :50]
    found = model.reconstruct(image, seed=1, tile=(40, 52))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert model.reconstruct(IMAGES[:1, :3, :5], tile=16).shape == (1, 3, 5, 1)
    assert model.reconstruct(IMAGES[:1], overlap=4).shape == (1, 40, 80, 1)  # in its own size


def test_rectangles_of_noise_are_those_of_the_whole_noise():
    shapes = [(3, 5, 2), (37, 11, 3)]
    flat = split_layers(draw_normal(shapes, [7], seed=5), shapes)
    drawn = DrawnRectangles(shapes, 7, 5)
    for layer, rows, columns in ((1, (14, 35), (2, 9)), (0, (0, 3), (1, 5)), (1, (0, 1), (0, 11))):
        where = slice(*rows), slice(*columns)
        np.testing.assert_array_equal(drawn.part(layer, where), flat[layer][0][where])
    uniform = DrawnRectangles(shapes[1:], 7, 5, uniform=True).part(0, (slice(16, 37), slice(0, 11)))
    np.testing.assert_array_equal(uniform, draw_uniform(shapes[1], [7], seed=5)[0, 16:])


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize(
    ("rows", "columns"), [((3, 9), (201, 231)), ((0, 1), (0, 7)), ((8, 9), (511, 600))]
)
def test_of_a_wide_image_no_more_noise_is_drawn_than_is_taken(rows, columns, uniform, monkeypatch):
    shape, asked = (9, 900, 3), []
    whole = draw_uniform(shape, [7], 5) if uniform else draw_normal([shape], [7], 5)
    drawn = DrawnRectangles([shape], 7, 5, uniform=uniform)
    draw = drawn._draw
    monkeypatch.setattr(drawn, "_draw", lambda a, b: asked.append(b - a) or draw(a, b))
    part = drawn.part(0, (slice(*rows), slice(*columns)))
    expected = whole.reshape(shape)[slice(*rows), slice(*columns)]
    np.testing.assert_array_equal(part, expected)
    assert sum(asked) == part.size


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.at_size(42, 80), "The size is 42x80; this model needs a height in multiples "
         "of 4 and a width in multiples of 4"),
        (lambda m: m.at_size(0, 8), "The height is 0; it must be a whole number"),
        (lambda m: m.at_size(4 * 5000, 8), "The height is 20000; at most 16384 are supported"),
        (lambda m: m.reconstruct(IMAGES, tile=18), "tile is 18; with this model it must be a "
         "multiple of 4"),
        (lambda m: m.encode(IMAGES, tile=16, overlap=16), "overlap is 16; it must be smaller than "
         "the tile, 16"),
        (lambda m: m.encode(IMAGES, tile=0), "tile is 0; it must be at least 4"),
        (lambda m: m.encode(IMAGES, tile=(1, 2, 3)), "it must be a number, or a height and a"),
        (lambda m: m.encode(IMAGES[..., [0, 0]], tile=16), r"needs images \[B, H, W, 1\]"),
        (lambda m: m.encode(IMAGES * np.nan, tile=16), "x holds float32 values that are not"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(model, call, message):
    with pytest.raises((BadInputError, ConfigError), match=message):
        call(model)


FOLDING = {
    "flow": {"name": "conv-sylvester", "channels": 4, "levels": 3, "terms": 9},
    "latent_width": 2,
    "decoder_blocks": [0, 1, 0],
}


def folding(**changes):
    """A model whose flow folds 4x4 positions of the latents of 4x4 together."""
    return hvae.build({**CONFIG, "model": {**MODEL, **FOLDING, **changes}})


@pytest.mark.every_backend
def test_a_flow_of_several_levels_is_the_same_in_tiles_and_at_any_size():
    """The middle tile starts where the whole image's flow has a position of its last level."""
    model = folding()
    rng = np.random.default_rng(1)
    for name, value in model_arrays(model).items():
        weight_names(model)[name].assign(value + rng.normal(0, 0.1, value.shape).astype("f"))
    assert model.options.multiples == (8, 8)
    images = np.random.default_rng(0).uniform(0, 1, (1, 24, 168, 1)).astype("f")
    (expected,) = model.at_size(24, 168).encode(images, seed=3).z
    (found,) = model.encode(images, seed=3, tile=(24, 72)).z  # overlaps of 24
    middle = slice(40, 46)
    np.testing.assert_allclose(found[:, :, middle], expected[:, :, middle], atol=1e-4)
    # Of 6x6 in training it has two levels at any size.
    half = folding(resolutions=[12, 6, 3])
    assert half.options.multiples == (4, 4)
    assert model_arrays(half.at_size(16, 16)).keys() == model_arrays(half).keys()


def test_images_are_multiples_of_what_a_flow_is_aligned_to():
    model = folding()
    said = "multiples? of 8.*, to which its flow conv-sylvester is aligned"
    for call in (
        lambda: model.at_size(20, 16),
        lambda: model.reconstruct(IMAGES, tile=20),
        lambda: model.reconstruct(IMAGES, tile=24, overlap=4),
        lambda: folding(resolutions=[12, 6, 3], trained_resolutions=[8, 4, 2]),
    ):
        with pytest.raises((BadInputError, ConfigError), match=said):
            call()
    # Latents of 8x8 alone, of which four positions are one of the coarsest scale.
    assert folding(decoder_blocks=[1, 0, 0]).options.multiples == (4, 4)


FLOW = {"name": "planar", "flows": 1, "scales": [False, True, False]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"no_bias_above": 64}, r"images of 8x8 alone: the scale 8 starts from a learned bias"),
        ({"resolutions": [8, 4, 1], "top": "zeros"}, "the scale 1 has but one position along an"),
        ({"flow": FLOW}, "some weights depend on it: .*flow"),
    ],
)
def test_a_model_of_one_size_says_why(changes, message):
    pinned = hvae.build({**CONFIG, "model": {**MODEL, **changes}})
    for call in (lambda: pinned.at_size(16, 16), lambda: pinned.reconstruct(IMAGES, tile=16)):
        with pytest.raises(BadInputError, match=message):
            call()
    assert pinned.at_size(8, 8).image_shape == (8, 8, 1)


def test_trained_resolutions_have_the_same_proportions():
    for trained, message in (([8, 4], "does not go with"), ([16, 4, 2], "does not go with")):
        with pytest.raises(ConfigError, match=f"trained_resolutions {message}"):
            hvae.build({**CONFIG, "model": {**MODEL, "trained_resolutions": trained}})
    with pytest.raises(ConfigError, match="trained_resolutions is given, but the scale 8 starts"):
        hvae.build({"model": {**MODEL, "no_bias_above": 64, "trained_resolutions": [8, 4, 2]}})


def test_with_a_flow_there_is_no_kl_of_a_part():
    flow = {"name": "conv-sylvester", "channels": 2, "levels": 1, "terms": 9}
    changes = {"flow": flow, "latent_width": 2}
    model = hvae.build({**CONFIG, "model": {**MODEL, **changes}})
    assert model.encode(IMAGES, tile=16).kl_per_layer is None
