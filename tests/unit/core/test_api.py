import shutil
import subprocess
import sys

import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.errors import BadInputError, ConfigError, HvaeError, PresetError, WeightsError
from hvae_core.interfaces import BlockShape

CONFIG = {
    "model": {
        "resolutions": [4, 1],
        "image_channels": 1,
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
def preset(tmp_path_factory):
    return hvae.build(CONFIG).save(tmp_path_factory.mktemp("presets") / "tiny")


def test_importing_the_package_loads_nothing_heavy():
    heavy = ["keras", "jax", "torch", "tensorflow", "pydantic", "numpy", "hvae_plugins"]
    code = (
        "import sys, hvae_core; hvae_core.__version__; dir(hvae_core)\n"
        f"bad = [m for m in {heavy} if m in sys.modules]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there():
    assert set(hvae.__all__) <= set(dir(hvae))
    for name in hvae.__all__:
        assert getattr(hvae, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        hvae.laod  # noqa: B018


def test_list_presets_takes_a_pattern():
    assert "digits-vdvae" in hvae.list_presets()
    assert hvae.list_presets("cifar10*")
    assert all(name.startswith("cifar10") for name in hvae.list_presets("cifar10*"))


@pytest.mark.every_backend
def test_load_takes_a_folder_its_weights_file_and_an_absolute_or_textual_path(preset):
    images = hvae.load(preset).sample(2)
    for source in (str(preset), preset / "model.safetensors"):
        np.testing.assert_array_equal(hvae.load(source).sample(2), images)


@pytest.mark.every_backend
def test_a_loaded_model_is_float32_whatever_it_was_trained_in(tmp_path):
    trained = hvae.build({**CONFIG, "train": {"precision": "mixed_bfloat16"}})
    assert trained.encoder.compute_dtype == "bfloat16"
    folder = trained.save(tmp_path / "mixed")
    assert hvae.load(folder).encoder.compute_dtype == "float32"
    faster = hvae.load(folder, precision="mixed_bfloat16")
    assert faster.encoder.compute_dtype == "bfloat16"
    # The readout's last convolution, whose output are the likelihood's parameters.
    assert faster.readout.out.compute_dtype == "float32"


def test_damaged_and_missing_weights_are_told(preset, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(preset, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        hvae.load(broken)
    weights.unlink()
    with pytest.raises(PresetError, match="no weights"):
        hvae.load(broken)
    with pytest.raises(PresetError, match="digits-vdvae"):
        hvae.load("digits-vdva")


def test_build_takes_values_a_file_a_name_and_overrides(tmp_path):
    from hvae_core.config import dump_yaml, parse_config

    config = parse_config(CONFIG)
    file = tmp_path / "mine.yaml"
    file.write_text(dump_yaml(config), encoding="utf-8")
    shapes = [(1, 1, 2), (4, 4, 2)]
    for source in (CONFIG, config, config.model, file, str(file)):
        assert hvae.build(source).latent_shapes == shapes
    wider = hvae.build(CONFIG, ["model.latent_width=3"])
    assert wider.latent_shapes == [(1, 1, 3), (4, 4, 3)]
    with pytest.raises(ConfigError, match="Did you mean"):
        hvae.build(CONFIG, ["model.latent_widht=3"])


@pytest.mark.every_backend
def test_create_builds_any_registered_component():
    likelihood = hvae.create("likelihood.bernoulli", image_shape=(4, 4, 1))
    assert likelihood.parameters == 1
    mixture = hvae.create("likelihood.logistic-mixture", {"mixtures": 3}, image_shape=(4, 4, 3))
    assert mixture.parameters == 30
    block = hvae.create(
        "block.bottleneck",
        shape=BlockShape(resolution=4, in_width=6, middle_width=2, out_width=8),
    )
    assert tuple(block(np.zeros((2, 4, 4, 6), np.float32)).shape) == (2, 4, 4, 8)


@pytest.mark.parametrize(
    ("component", "config", "error", "sentence"),
    [
        ("bernoulli", None, BadInputError, "expected kind.name"),
        ("likelihod.bernoulli", None, BadInputError, "Did you mean 'likelihood'"),
        ("likelihood.bernouli", None, HvaeError, "Did you mean 'bernoulli'"),
        ("likelihood.bernoulli", {"size": 1}, HvaeError, "size"),
        ("optimizer.muon", None, BadInputError, "optimizer.muon .* missing .* 'settings'"),
        ("tracker.tensorboard", None, BadInputError, "tracker.tensorboard .* 'image_shape'"),
        ("command.greet", None, BadInputError, "command.greet is a command"),
    ],
)
def test_what_cannot_be_created_is_told(component, config, error, sentence):
    with pytest.raises(error, match=sentence):
        hvae.create(component, config, image_shape=(4, 4, 1))


@pytest.mark.every_backend
def test_another_backend_than_the_running_one_is_refused(preset):
    import keras

    other = next(name for name in ("jax", "torch") if name != keras.config.backend())
    with pytest.raises(HvaeError, match=other):
        hvae.load(preset, backend=other)
