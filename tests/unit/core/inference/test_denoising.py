import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.errors import BadInputError
from hvae_core.inference.programs import Complete, Infer

MODEL = {
    "resolutions": [8, 4],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 2,
    "decoder_middle_width": 2,
    "latent_width": 1,
    "encoder_blocks": [0, 1],
    "decoder_blocks": 1,
    "no_bias_above": 0,
    "readout": {"kind": "features"},
}
CONFIG = {
    "model": MODEL,
    "likelihood": {"name": "noise-model", "gain": 0.1, "offset": 0.01},
    "data": {"name": "python", "values": {"dtype": "float32"}},
}
NOISY = np.random.default_rng(0).normal(0.5, 0.3, (2, 8, 8, 1)).astype("f")


@pytest.fixture(scope="module")
def model():
    from hvae_core.weights import model_arrays, weight_names

    model = hvae.build(CONFIG)
    rng = np.random.default_rng(1)
    for name, value in model_arrays(model).items():
        weight_names(model)[name].assign(value + rng.normal(0, 0.2, value.shape).astype("f"))
    return model


@pytest.mark.every_backend
def test_draws_are_the_means_of_the_posterior_s_latents(model):
    """Draw k of image i has the noise of the image i + k 2^32 of a sequence."""
    found = model.denoise(NOISY, n=3, seed=4, keep=2, batch_size=2)
    assert found.draws.shape == (2, 2, 8, 8, 1)
    first = model.decode(model.encode(NOISY, seed=4), pixels="mean")
    np.testing.assert_allclose(found.draws[0], first, atol=1e-5)
    every = model.denoise(NOISY, n=3, seed=4).draws
    np.testing.assert_allclose(found.draws, every[:2], atol=1e-6)
    np.testing.assert_allclose(found.mean, every.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.std, every.std(axis=0, ddof=1), atol=1e-5)
    assert found.std.min() > 0


def test_the_encoder_sees_an_image_once(model, monkeypatch):
    programs, run = [], type(model).run

    def counting(self, program, inputs):
        programs.append(program)
        return run(self, program, inputs)

    monkeypatch.setattr(type(model), "run", counting)
    model.denoise(NOISY, n=5, keep=0, batch_size=2)
    assert programs == 2 * [Infer(("features",)), *3 * [Complete(("mean",))]]


def test_an_engine_that_cannot_go_on_from_features_gives_the_same(model, monkeypatch):
    expected = model.denoise(NOISY, n=3, batch_size=2)
    monkeypatch.setattr(type(model), "gives", lambda self, program: False)
    np.testing.assert_allclose(
        model.denoise(NOISY, n=3, batch_size=2).mean, expected.mean, atol=1e-5
    )


def test_in_tiles_it_is_that_of_the_whole(model):
    noisy = np.random.default_rng(0).normal(0.5, 0.3, (1, 18, 72, 1)).astype("f")
    padded = np.pad(noisy, ((0, 0), (0, 2), (0, 0), (0, 0)), mode="symmetric")
    expected = model.at_size(20, 72).denoise(padded, n=3, seed=1)
    found = model.denoise(noisy, n=3, seed=1, tile=(20, 40), overlap=(0, 24))
    np.testing.assert_allclose(found.mean, expected.mean[:, :18], atol=1e-5)
    np.testing.assert_allclose(found.std, expected.std[:, :18], atol=1e-4)
    np.testing.assert_allclose(found.draws, expected.draws[:, :, :18], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is 0; it must be at least 1"),
        ({"n": True}, "n is True; it must be a whole number"),
        ({"n": 2, "keep": 3}, "keep is 3; it must be at most n, which is 2"),
        ({"seed": -1}, "seed is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_what_cannot_be_is_said(model, options, message):
    with pytest.raises(BadInputError, match=message):
        model.denoise(NOISY, **options)


def test_it_takes_a_noise_model():
    other = hvae.build({**CONFIG, "likelihood": "gaussian"})
    with pytest.raises(BadInputError, match="likelihood is gaussian, which tells no noise from"):
        other.denoise(NOISY)


def test_of_a_condition(monkeypatch):
    label = {"name": "label", "classes": 3}
    model = hvae.build({**CONFIG, "model": {**MODEL, "condition": label}})
    rng = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(weight + rng.normal(0, 0.2, weight.shape).astype("f"))
    with pytest.raises(BadInputError, match="no condition is given"):
        model.denoise(NOISY, n=1)
    first = model.decode(model.encode(NOISY, condition=[0, 2]), pixels="mean", condition=[0, 2])
    found = model.denoise(NOISY, n=2, condition=[0, 2]).draws
    np.testing.assert_allclose(found[0], first, atol=1e-5)
    assert np.abs(model.denoise(NOISY, n=2, condition=[1, 2]).draws - found)[:, 0].max() > 1e-3
    monkeypatch.setattr(type(model), "gives", lambda self, program: False)
    alike = model.denoise(NOISY, n=2, condition=[0, 2]).draws
    np.testing.assert_allclose(alike, found, atol=1e-5)


def test_the_command(model, capsys, tmp_path):
    from hvae_core.cli.main import main

    folder = str(model.save(tmp_path / "model"))
    np.save(tmp_path / "noisy.npy", NOISY)
    arguments = ["denoise", folder, "--images", str(tmp_path / "noisy.npy"), "-n", "4"]
    two = ("--draws", "2")
    for output, more in (("a.npz", two), ("a.png", two), ("a", ())):
        with pytest.raises(SystemExit) as left:
            main([*arguments, *more, "-o", str(tmp_path / output)])
        assert left.value.code == 0, capsys.readouterr().err
    expected = model.denoise(NOISY, n=4, keep=2)
    with np.load(tmp_path / "a.npz") as found:
        np.testing.assert_array_equal(found["noisy"], NOISY)
        np.testing.assert_allclose(found["mean"], expected.mean, atol=1e-6)
        np.testing.assert_allclose(found["draws"], expected.draws, atol=1e-6)
    assert len(list((tmp_path / "a").iterdir())) == 2
    np.save(tmp_path / "large.npy", np.zeros((1, 8, 12, 1), "f"))
    large = ["denoise", folder, "--images", str(tmp_path / "large.npy")]
    for wrong, told in (
        ([*arguments, "--draws", "5"], "--draws is 5; it must be at most -n, which is 4"),
        (large, "are of 8x12 and the model's of 8x8; resizing them would change their noise"),
    ):
        with pytest.raises(SystemExit) as left:
            main([*wrong, "-o", str(tmp_path / "b.npz")])
        assert left.value.code == 2
        assert told in capsys.readouterr().err
        assert not (tmp_path / "b.npz").exists()
