"""Checkpoints of the original VDVAE as preset folders, and back."""

import json
import math
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from hvae_core.config import load_config, parse_config
from hvae_core.errors import ConfigError, HvaeError, PresetError, WeightsError
from hvae_core.exporting import export_source
from hvae_core.weights import read_tensors, write_tensors
from hvae_core.zoo import find_preset, read_preset
from hvae_core.zoo.conversion import import_checkpoint
from hvae_plugins.importers.openai_vdvae.original_tensors import tensor_pairs


def import_openai_vdvae(checkpoint, output, config=None, overwrite=False):
    return import_checkpoint("openai-vdvae", checkpoint, output, config, overwrite=overwrite)


def export_openai_vdvae(source, output):
    return Path(export_source(source, output, "openai-vdvae")["output"])


#: parameters, tensors, encoder and decoder blocks of the original's configurations
COUNTS = {
    "openai-cifar10": (39_145_700, 1393, 33, 43),
    "openai-imagenet32": (119_280_868, None, 48, 78),
    "openai-imagenet64": (125_005_860, None, 65, 75),
    "openai-ffhq256": (114_874_852, None, 68, 66),
    "openai-ffhq1024": (109_366_904, None, 70, 70),
}


@pytest.fixture
def original(fixtures_folder):
    return fixtures_folder / "openai-vdvae"


@pytest.fixture
def tensors(original):
    return read_tensors(original / "state_dict.safetensors")


def imported(checkpoint, original, folder):
    return import_openai_vdvae(checkpoint, folder, str(original / "config.json"))


@pytest.mark.parametrize("name", COUNTS)
def test_the_original_s_configurations_have_its_parameters(name):
    parameters, count, encoder, decoder = COUNTS[name]
    config = find_preset(name).config
    pairs = tensor_pairs(config)
    assert sum(math.prod(pair.shape) for pair in pairs) == parameters
    assert count is None or len(pairs) == count
    assert sum(stage.encoder_blocks for stage in config.model.stages) == encoder
    assert len(config.model.latent_shapes) == decoder


def test_the_tensors_listed_are_those_of_the_model():
    """Widths that differ, a scale without bias, one without decoder blocks, a late mixing."""
    from hvae_core.config import parse_config
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights import weight_names
    from hvae_plugins.importers.openai_vdvae.configurations import translate
    from hvae_plugins.importers.openai_vdvae.original_tensors import from_original

    config = parse_config(
        translate(
            {
                "dataset": "cifar10", "image_size": 16, "width": 8, "zdim": 2, "no_bias_above": 4,
                "custom_width_str": "4:12,1:16", "num_mixtures": 2,
                "enc_blocks": "16x1,16d2,8x2,8d2,4d4,1x1", "dec_blocks": "1x2,4x1,4m1,16m4,16x1",
            }
        )
    )  # fmt: skip
    rng = np.random.default_rng(0)
    tensors = {p.original: rng.normal(size=p.shape) for p in tensor_pairs(config)}
    ours = {name: array.shape for name, array in from_original(tensors, config).items()}
    model = HierarchicalVAE(config)
    assert ours == {name: tuple(v.shape) for name, v in weight_names(model).items()}
    assert np.isfinite(model.elbo(np.zeros((1, 16, 16, 3), np.uint8)).elbo).all()


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_becomes_a_preset_and_goes_back(prefix, original, tensors, tmp_path):
    source = tmp_path / "checkpoint.safetensors"
    write_tensors({prefix + name: array for name, array in tensors.items()}, source)
    preset = imported(source, original, tmp_path / "preset")
    assert preset.info["parameters"] == 131_084
    assert "sha256" in preset.info["notes"]
    back = read_tensors(export_openai_vdvae(preset.folder, tmp_path / "back.safetensors"))
    assert set(back) == set(tensors)
    assert all(back[name].tobytes() == tensors[name].tobytes() for name in tensors)


@pytest.mark.parametrize("legacy", [False, True])
def test_pytorch_files_of_both_formats(legacy, original, tensors, tmp_path):
    torch = pytest.importorskip("torch")
    source = tmp_path / "model.th"
    state = {f"module.{name}": torch.from_numpy(array) for name, array in tensors.items()}
    torch.save(state, source, _use_new_zipfile_serialization=not legacy)
    preset = imported(source, original, tmp_path / "preset")
    back = export_openai_vdvae(preset.folder, tmp_path / "back.th")
    for name, tensor in torch.load(back, weights_only=True).items():
        assert tensor.numpy().tobytes() == tensors[name].tobytes()


@pytest.mark.parametrize(
    "name", ["model.th", "model-ema.th", "variants/model-cuda0.th", "variants/model-ema-legacy.th"]
)
def test_the_original_s_own_files(name, shared_folder, tmp_path):
    pytest.importorskip("torch")
    base = shared_folder / "goldens" / "vdvae" / "base"
    preset = imported(base / name, base, tmp_path / "preset")
    back = read_tensors(export_openai_vdvae(preset.folder, tmp_path / "back.safetensors"))
    expected = read_tensors(base / "state_dict.safetensors")
    assert set(back) == set(expected)
    assert all(back[key].tobytes() == expected[key].tobytes() for key in expected)


class Code:
    """Unpickling this would make a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("content", ["random", "empty", "code", "truncated", "list", "number"])
def test_what_is_no_checkpoint_is_refused_and_not_run(content, original, tensors, tmp_path):
    torch = pytest.importorskip("torch")
    source, trap = tmp_path / "model.th", tmp_path / "trap"
    if content == "random":
        source.write_bytes(np.random.default_rng(0).bytes(4000))
    elif content == "empty":
        source.touch()
    elif content == "code":
        source.write_bytes(pickle.dumps({"weight": Code(trap)}))
    elif content == "truncated":
        torch.save({n: torch.from_numpy(a) for n, a in tensors.items()}, source)
        source.write_bytes(source.read_bytes()[:100_000])
    else:
        torch.save([torch.zeros(2)] if content == "list" else {"epoch": 3}, source)
    with pytest.raises(WeightsError, match=r"model\.th"):
        imported(source, original, tmp_path / "preset")
    assert not trap.exists()
    assert not (tmp_path / "preset").exists()


def test_what_does_not_fit_is_named(original, tensors, tmp_path):
    source = tmp_path / "other.safetensors"
    del tensors["decoder.gain"]
    tensors["decoder.bias"] = np.zeros((1, 7, 1, 1), np.float32)
    write_tensors({**tensors, "odd": np.zeros(1, np.float32)}, source)
    with pytest.raises(WeightsError) as caught:
        imported(source, original, tmp_path / "preset")
    message = str(caught.value)
    assert "1 tensor missing (decoder.gain)" in message
    assert "1 tensor unexpected (odd)" in message
    assert "decoder.bias [1, 7, 1, 1], expected [1, 32, 1, 1]" in message
    assert not (tmp_path / "preset").exists()


def test_a_configuration_is_recognised_by_the_tensors(original, tmp_path):
    with pytest.raises(WeightsError, match="no configuration of the original"):
        import_openai_vdvae(original / "state_dict.safetensors", tmp_path / "preset")
    shapes = tensor_pairs(find_preset("openai-cifar10").config)
    source = tmp_path / "cifar10.safetensors"
    write_tensors({pair.original: np.zeros(pair.shape, np.float32) for pair in shapes}, source)
    preset = import_openai_vdvae(source, tmp_path / "preset")
    assert preset.config.model == find_preset("openai-cifar10").config.model


@pytest.mark.parametrize(
    ("name", "error", "named"),
    [
        ("cifar11", ConfigError, "'cifar10'"),
        ("missing.json", ConfigError, "missing.json"),
        ("list.json", ConfigError, "list.json"),
        ("broken.json", ConfigError, "broken.json"),
        ("odd.json", ConfigError, "odd.json"),
        ("rate.json", ConfigError, "rate.json: lr is '1.5e-4'; expected a number"),
    ],
)
def test_a_bad_configuration_is_named(name, error, named, original, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    content = json.loads((original / "config.json").read_text())
    (tmp_path / "odd.json").write_text(json.dumps({**content, "enc_blocks": "32z2"}))
    (tmp_path / "rate.json").write_text(json.dumps({**content, "lr": "1.5e-4"}))
    with pytest.raises(error, match=named):
        import_openai_vdvae(original / "state_dict.safetensors", tmp_path / "preset", name)


def test_an_existing_preset_is_kept_unless_asked(original, tmp_path):
    source = original / "state_dict.safetensors"
    first = imported(source, original, tmp_path / "preset")
    with pytest.raises(PresetError, match="exists already"):
        imported(source, original, tmp_path / "preset")
    again = import_openai_vdvae(
        source, tmp_path / "preset", str(original / "config.json"), overwrite=True
    )
    assert again.weights == first.weights


def test_only_the_original_s_architecture_goes_back(tmp_path):
    with pytest.raises(HvaeError, match=r"model\.\w+ is"):
        export_openai_vdvae("digits-vdvae", tmp_path / "back.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_command(original, tmp_path):
    from click.testing import CliRunner

    from hvae_core.cli.main import cli

    checkpoint = tmp_path / "checkpoint.safetensors"
    shutil.copy(original / "state_dict.safetensors", checkpoint)
    preset = str(tmp_path / "preset")
    arguments = ["import", "openai-vdvae", str(checkpoint), "-o", preset, "--json"]
    done = CliRunner().invoke(cli, [*arguments, "--config", str(original / "config.json")])
    assert json.loads(done.output)["parameters"] == 131_084
    back = tmp_path / "back.safetensors"
    done = CliRunner().invoke(cli, ["export", preset, "-o", str(back), "--format", "openai-vdvae"])
    assert done.exit_code == 0
    assert set(read_tensors(back)) == set(read_tensors(checkpoint))
    assert read_preset(preset).weights_path is not None


@pytest.mark.parametrize(("option", "value"), [("norm", "group"), ("conv", "depthwise5")])
@pytest.mark.parametrize("own", [True, False], ids=["of the block", "of the model"])
def test_a_norm_or_kind_of_convolution_is_refused_wherever_it_is_set(option, value, own):
    from hvae_plugins.importers.openai_vdvae.original_tensors import require_original

    change = f"block={{name: bottleneck, {option}: {value}}}" if own else f"{option}={value}"
    config = load_config(find_preset("openai-cifar10").config, [f"model.{change}"])
    with pytest.raises(ConfigError, match=f"model.{option} is {value}; the original"):
        require_original(config)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("condition={name: label, classes: 3}", "condition is label"),
        ("prior=diffusion-vampprior", "prior is diffusion-vampprior"),
        ("input_channels=4", "input_channels is 4"),
        ("flow=planar", "flow is planar"),
    ],
)
def test_a_model_with_more_than_the_original_has_does_not_go_back(change, named):
    from hvae_plugins.importers.efficient_vdvae import EfficientVDVAEImporter
    from hvae_plugins.importers.openai_vdvae import OpenAIVDVAEImporter
    from hvae_plugins.importers.openai_vdvae.original_tensors import require_original

    for importer, preset in (
        (OpenAIVDVAEImporter, "openai-cifar10"),
        (EfficientVDVAEImporter, "efficient-vdvae-cifar10"),
    ):
        config = find_preset(preset).config
        with_more = load_config(config, [f"model.{change}"])
        reader = importer(None)
        assert reader.describes(config)
        assert not reader.describes(with_more)
        if importer is OpenAIVDVAEImporter:
            with pytest.raises(ConfigError, match=f"model.{named}; the original VDVAE"):
                require_original(with_more)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda arrays: arrays | {"decoder.more": np.zeros(3)}, "1 weight unexpected"),
        (lambda arrays: arrays | {"readout.gain": np.zeros(3)}, r"readout.gain \[3\], expected"),
        (lambda arrays: {k: a for k, a in arrays.items() if k != "readout.gain"}, "missing"),
    ],
    ids=["one too many", "another shape", "one too few"],
)
def test_weights_that_do_not_fit_the_original_are_named(change, named, original, tensors):
    from hvae_plugins.importers.openai_vdvae.configurations import translate
    from hvae_plugins.importers.openai_vdvae.original_tensors import from_original, to_original

    config = parse_config(translate(json.loads((original / "config.json").read_text())))
    arrays = from_original(tensors, config)
    assert to_original(arrays, config).keys() == tensors.keys()
    with pytest.raises(WeightsError, match=named):
        to_original(change(arrays), config)
