import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.errors import BadInputError
from hvae_core.images.saving import check_output, save_images
from hvae_core.inference.engine import LiveEngine
from hvae_core.inference.interpolation import mix
from hvae_core.inference.programs import Generate, Infer
from hvae_core.inference.sampling import sample_batches

pytestmark = pytest.mark.every_backend

CONFIG = {
    "model": {
        "resolutions": [4, 2, 1],
        "image_channels": 3,
        "width": 8,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "readout": {"kind": "features"},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
}


@pytest.fixture(scope="module")
def model():
    from keras import ops

    model = hvae.build(CONFIG)
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.3, value.shape).astype("float32"))
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3)).astype(np.uint8)


def test_an_image_depends_on_the_seed_and_its_number_alone(model):
    five = model.sample(5, seed=1)
    assert five.shape == (5, 4, 4, 3)
    assert five.dtype == np.uint8
    np.testing.assert_array_equal(five, model.sample(5, seed=1, batch_size=2))
    np.testing.assert_array_equal(five[:3], model.sample(3, seed=1))
    assert (model.sample(5, seed=2) != five).any()


def test_temperature_zero_leaves_only_the_pixels_noise(model):
    from hvae_core.prob.noise import draw_normal, split_layers

    noise = [
        split_layers(draw_normal(model.latent_shapes, 4, seed), model.latent_shapes)
        for seed in (0, 1)
    ]
    cold = [model.sample(4, temperature=0.0, noise=given) for given in noise]
    warm = [model.sample(4, temperature=1.0, noise=given) for given in noise]
    np.testing.assert_array_equal(*cold)
    assert (warm[0] != warm[1]).any()


def test_batches_stream_and_end_with_a_smaller_one(model):
    assert [len(batch) for batch in sample_batches(model, 5, batch_size=2)] == [2, 2, 1]


def test_what_compiles_a_program_is_told_once_for_each_shape(model, images):
    from hvae_core.backends.compiling import compiles_programs

    engine, told = LiveEngine(model), []
    engine.before_compiling = told.append
    program = Infer(("features",))
    for count in (2, 2, 3):
        engine.run(program, {"images": images[:count], "noise": []})
    assert told == ([program] * 2 if compiles_programs() else [])
    programs = (Infer(("kl_per_layer", "latent")), Generate(("images",)), program)
    assert [one.purpose for one in programs] == [
        "evaluation of images", "drawing of images", "encoding of images"
    ]  # fmt: skip


def test_with_no_latents_given_reconstruction_is_sampling(model, images):
    np.testing.assert_array_equal(
        model.reconstruct(images, latents=0, seed=3), model.sample(3, seed=3)
    )
    full = model.reconstruct(images, seed=3)
    assert (full != model.sample(3, seed=3)).any()
    np.testing.assert_array_equal(full, model.reconstruct(images, latents=3, seed=3))


def test_an_interpolation_s_ends_do_not_depend_on_the_other_end(model, images):
    there = model.interpolate(images[0], images[1], 4)
    assert there.shape == (4, 4, 4, 3)
    elsewhere = model.interpolate(images[0], images[2], 4)
    assert np.abs(there[0].astype(int) - elsewhere[0]).max() <= 1
    back = model.interpolate(images[1], images[0], 4)
    assert (there[-1] != there[0]).any()
    assert back.shape == there.shape


def test_the_spherical_path_keeps_the_length():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    for weight in (0.0, 0.3, 0.5, 1.0):
        assert np.linalg.norm(mix(a, b, weight)) == pytest.approx(1.0)
    np.testing.assert_allclose(mix(a, b, 0.0), a, atol=1e-12)
    np.testing.assert_allclose(mix(a, b, 1.0), b, atol=1e-12)
    assert np.linalg.norm(mix(a, b, 0.5, "linear")) < 0.9


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 2, "temperature": -1}, "temperature is -1"),
        ({"n": 2, "temperature": float("nan")}, "temperature is nan"),
        ({"n": 2, "seed": -1}, "seed is -1"),
        ({"n": 2, "noise": [np.zeros((2, 1, 1, 2))]}, "noise has 1 arrays"),
        ({"n": 2, "noise": [np.zeros((2, 9, 9, 2))] * 3}, r"noise\[0\] has shape"),
        (
            {"n": 2, "noise": [np.full((2, 1, 1, 2), np.nan)]},
            r"noise\[0\] holds values",
        ),
        ({"n": 2, "noise": ["a", "b"]}, r"noise\[0\] is no array of numbers"),
        ({"n": 2, "noise": 5}, "noise is no list of arrays"),
    ],
)
def test_impossible_arguments_are_told(model, arguments, sentence):
    with pytest.raises(BadInputError, match=sentence):
        model.sample(**arguments)


def test_images_that_do_not_fit_are_told(model, images):
    with pytest.raises(BadInputError, match="the model needs images"):
        model.elbo(images[:, :2])
    with pytest.raises(BadInputError, match="whole numbers from 0 to 255"):
        model.elbo(images / 255.0)
    with pytest.raises(BadInputError, match="latents is 9"):
        model.reconstruct(images, latents=9)


def test_saving_a_grid_an_archive_and_a_folder(tmp_path):
    batches = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4, 3)).astype(np.uint8)
    assert save_images(batches, tmp_path / "a.png") == 6
    save_images(batches, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(archive["images"], batches.reshape(6, 4, 4, 3))
    save_images(batches, tmp_path / "folder")
    assert len(list((tmp_path / "folder").glob("*.png"))) == 6
    from PIL import Image

    read = np.asarray(Image.open(tmp_path / "folder" / "000004.png"))
    np.testing.assert_array_equal(read, batches[1, 1])
    save_images(iter(batches), tmp_path / "b.npz", total=6)
    with np.load(tmp_path / "b.npz") as archive:
        np.testing.assert_array_equal(archive["images"], batches.reshape(6, 4, 4, 3))
    before = (tmp_path / "b.npz").read_bytes()
    with pytest.raises(ValueError, match="6 images came, 7 were announced"):
        save_images(iter(batches), tmp_path / "b.npz", total=7)
    assert (tmp_path / "b.npz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4
    with pytest.raises(BadInputError, match="not empty"):
        check_output(tmp_path / "folder")
    with pytest.raises(BadInputError, match="neither"):
        check_output(tmp_path / "a.gif")
