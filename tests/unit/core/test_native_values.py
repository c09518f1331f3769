"""Images of 12 bits and of floating-point numbers, of any number of channels, from end to end."""

import keras
import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.errors import BadInputError, ConfigError, DataError
from hvae_core.images.grids import as_pictures
from hvae_core.interfaces import ImageValues

pytestmark = pytest.mark.every_backend

MODEL = {
    "resolutions": [4, 2],
    "image_channels": 5,
    "width": 4,
    "encoder_middle_width": 2,
    "decoder_middle_width": 2,
    "latent_width": 1,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "readout": {"kind": "features"},
}
TRAIN = {
    "batch_size": 4, "steps": 2, "epochs": None, "log_steps": 1, "report": False,
    "tensorboard": False, "validation_fraction": 0.2, "sample_epochs": 1,
}  # fmt: skip
RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 4096, (20, 4, 4, 5), dtype=np.uint16)
FLOAT = RNG.normal(20, 40, (20, 4, 4, 5)).astype("f")
CASES = {
    "uint16": (DEEP, {"dtype": "uint16", "bits": 12}, "discretized-gaussian"),
    "float32": (FLOAT, {"dtype": "float32", "range": [-100, 140], "unit": "K"}, "gaussian"),
}


def config_of(case):
    _, values, likelihood = CASES[case]
    return {
        "model": MODEL,
        "likelihood": likelihood,
        "data": {"name": "python", "values": values, "flip": True},
        "train": TRAIN,
    }


#: with PyTorch, which compiles nothing, both; elsewhere the one that a likelihood of bytes has not
RUNS = list(CASES) if keras.config.backend() == "torch" else ["float32"]


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory):
    """A run on images held in Python: its case and folder."""
    folder = tmp_path_factory.mktemp("run") / "run"
    hvae.train(config_of(request.param), folder, dataset=CASES[request.param][0])
    return request.param, folder


def test_training_and_evaluation_speak_of_the_right_unit(run):
    case, folder = run
    images = CASES[case][0]
    figures = hvae.evaluate(folder, images[:6])
    bound = hvae.load(folder).elbo(images[:6])
    assert figures["elbo"] == pytest.approx(bound.elbo.mean(), rel=1e-5)
    validation = [r for r in (folder / "metrics.jsonl").read_text().splitlines() if "epoch" in r]
    if case == "uint16":
        assert figures["unit"] == "bits/dim"
        assert figures["bits_per_dim"] == pytest.approx(bound.bits_per_dim.mean(), rel=1e-5)
    else:  # a density has no bits
        assert figures["unit"] == "nats"
        assert bound.bits_per_dim is None
        assert not [key for key in figures if "bits" in key]
        assert not any("bits_per_dim" in line for line in validation)
    assert list((folder / "samples").iterdir())


def test_images_are_taken_and_given_in_native_values(run):
    case, folder = run
    images, model = CASES[case][0][:3], hvae.load(folder)
    for drawn in (
        model.sample(2),
        model.reconstruct(images),
        model.interpolate(images[0], images[1], steps=2),
        model.decode(model.encode(images), pixels="mean"),
    ):
        assert drawn.dtype == images.dtype
        assert np.isfinite(drawn).all()
        assert drawn.max() > 60, "they would be 8 bits, or standardised"
    assert as_pictures(model.sample(2), model.image_values).shape == (2, 4, 20, 1)
    same = model.elbo(images.astype(np.float64)).elbo
    np.testing.assert_array_equal(same, model.elbo(images).elbo)
    wrong = images.astype(np.float64)
    wrong[0, 0, 0, 0] = np.nan
    expected = "whole numbers from 0 to 4095" if case == "uint16" else "finite numbers"
    with pytest.raises(BadInputError, match=expected):
        model.elbo(wrong)


def test_the_input_is_standardised_by_the_range(run):
    model = hvae.load(run[1])
    seen = []
    model.encoder.call, call = lambda x: seen.append(x) or call(x), model.encoder.call
    low, high = model.image_values.low, model.image_values.high
    x = np.stack([np.full((4, 4, 5), value, "f") for value in (low, high)])
    model.bottom_up(x)
    ends = ops.convert_to_numpy(seen[0])
    np.testing.assert_allclose(ends[0], -1.0, atol=1e-6)
    np.testing.assert_allclose(ends[1], 1.0, atol=1e-6)


def test_saved_and_loaded_it_is_the_same_model(run, tmp_path):
    case, folder = run
    model = hvae.load(folder)
    again = hvae.load(model.save(tmp_path / "preset"))
    assert again.image_values == model.image_values
    images = CASES[case][0][:2]
    np.testing.assert_array_equal(again.elbo(images).elbo, model.elbo(images).elbo)


def test_keras_s_fit_and_predict_take_native_values(run):
    case, _ = run
    model = hvae.build(config_of(case))
    model.compile("sgd")
    images = CASES[case][0]
    history = model.fit(images, batch_size=10, epochs=1, verbose=0).history
    assert ("bits_per_dim" in history) == (case == "uint16")
    assert np.isfinite(history["loss"]).all()
    predicted = model.predict(images[:4], verbose=0)
    called = ops.convert_to_numpy(ops.stop_gradient(model(images[:4])))
    np.testing.assert_allclose(predicted, called, rtol=1e-4, atol=1e-2)


def test_a_likelihood_that_does_not_score_the_values_is_refused_when_read():
    for name, case in (("gaussian", "uint16"), ("logistic-mixture", "float32")):
        with pytest.raises(ConfigError, match=f"likelihood '{name}' works on .* gives {case}"):
            hvae.build({**config_of(case), "likelihood": name})
    with pytest.raises(ConfigError, match=r"regularizer 'cr-vae' works on images of uint8"):
        hvae.build({**config_of("uint16"), "regularizer": "cr-vae"})
    model = {**MODEL, "input_mean": 127.5, "input_scale": 127.5}
    with pytest.raises(ConfigError, match=r"input_mean and model.input_scale are those of 8 bits"):
        hvae.build({**config_of("float32"), "model": model})


def test_images_that_are_others_are_refused_when_they_are_opened(run, tmp_path):
    case, folder = run
    too_large = DEEP.astype(np.int64) * 2**10 if case == "uint16" else FLOAT * np.float32(np.inf)
    with pytest.raises(DataError, match="dataset holds"):
        hvae.evaluate(folder, too_large)
    np.save(tmp_path / "bytes.npy", np.full((9, 4, 4, 5), 7, np.uint8))
    bytes_on_disk = {"name": "arrays", "files": {"test": str(tmp_path / "bytes.npy")}}
    with pytest.raises(ConfigError, match="are uint8; the model was made for"):
        hvae.evaluate(folder, bytes_on_disk)


def test_a_model_of_bytes_refuses_more_than_8_bits():
    config = {**config_of("uint16"), "likelihood": "logistic-mixture", "data": "digits"}
    with pytest.raises(BadInputError, match="whole numbers from 0 to 255"):
        hvae.build(config).elbo(DEEP[:2])


def test_values_are_written_as_they_were_declared():
    values = hvae.build(config_of("float32")).image_values
    assert values == ImageValues("float32", -100.0, 140.0, "K")
