"""Efficient-VDVAE's checkpoints: hyper-parameters, names, and what is refused."""

import json
import os
import re

import numpy as np
import pytest
from click.testing import CliRunner

from hvae_core.cli.main import cli
from hvae_core.config import parse_config
from hvae_core.errors import ConfigError, HvaeError, WeightsError
from hvae_core.weights import read_tensors
from hvae_core.zoo import find_preset, list_presets, read_preset
from hvae_core.zoo.conversion import import_checkpoint
from hvae_plugins.importers.efficient_vdvae import recognise
from hvae_plugins.importers.efficient_vdvae.hyperparameters import read_hyperparameters
from hvae_plugins.importers.efficient_vdvae.networks import ORIGINAL_MODEL, translate
from hvae_plugins.importers.efficient_vdvae.state_dict import from_original, tensor_pairs

torch = pytest.importorskip("torch")

NAME = "top_down.levels_down.3.0.prior_layer.projection.weight"


@pytest.fixture(scope="module")
def folder(fixtures_folder):
    return fixtures_folder / "efficient-vdvae"


@pytest.fixture(scope="module")
def values(folder):
    return read_hyperparameters(folder / "hparams-handed.cfg")


def changed(values, **changes):
    """The hyper-parameters with some of a section's changed: ``model={...}``."""
    return {name: {**section, **changes.get(name, {})} for name, section in values.items()}


def as_json(tmp_path, values):
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(values))
    return str(path)


def refused(checkpoint, output, config, error=HvaeError):
    """The sentence with which an import is refused; nothing is written."""
    with pytest.raises(error) as caught:
        import_checkpoint("efficient-vdvae", checkpoint, output, str(config))
    assert not output.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_command_writes_a_preset(folder, tmp_path):
    words = ["import", "efficient-vdvae", str(folder / "checkpoint"), "--json", "-o"]
    config = ["--config", str(folder / "hparams-handed.cfg")]
    for weights, more in (("ema", []), ("raw", ["--weights", "raw"])):
        output = tmp_path / weights
        done = CliRunner().invoke(
            cli, [*words, str(output), *config, *more], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["parameters"] == 35_157
    model = read_preset(tmp_path / "raw").config.model
    assert model.resolutions == [32, 32, 16, 8, 8, 2]
    assert model.decoder_width == [9, 9, 10, 12, 12, 16]
    assert model.encoder_blocks == [2, 1, 4, 1, 1, 1]
    assert model.residual_blocks == [1, 1, 2, 1, 1, 1]
    assert "averaged" in read_preset(tmp_path / "ema").info["notes"]
    ema, raw = (read_tensors(tmp_path / name / "model.safetensors") for name in ("ema", "raw"))
    assert ema.keys() == raw.keys()
    assert any(np.abs(ema[name] - raw[name]).max() > 0 for name in ema)


def test_training_follows_the_original_s_schedules(values, folder):
    """Its learning rates as the JAX edition has them, its warm-up of beta, and its balancing."""
    from hvae_core.training import schedules

    recorded = json.loads((folder / "schedules.json").read_text())
    train = parse_config(translate(values)).train
    rates = [schedules.learning_rate(train, step, 100, 5) for step in range(86)]
    np.testing.assert_allclose(rates, recorded["lr_cosine_jax_edition"], rtol=1e-5, atol=1e-9)
    betas = [schedules.beta(train, step, 100) for step in range(26)]
    np.testing.assert_allclose(betas, recorded["beta"], rtol=1e-6)
    assert not schedules.beta_is_settled(train, 13, 100)
    assert schedules.beta_is_settled(train, 14, 100)
    assert train.kl_balancing_steps == 10
    assert (train.skip_norm, train.skip_start_step, train.ema_warmup) == (800.0, 0, False)
    for scheme in ("constant", "noam"):
        other = changed(values, optimizer={"learning_rate_scheme": scheme, "warmup_steps": 3.0})
        train = parse_config(translate(other)).train
        rates = [schedules.learning_rate(train, step, 100, 100) for step in range(26)]
        np.testing.assert_allclose(rates, recorded[f"lr_{scheme}"], rtol=1e-5, atol=1e-9)


def test_fewer_bits_other_bases_and_relative_posteriors(values):
    other = changed(
        values,
        data={"num_bits": 5.0, "dataset_source": "ffhq"},
        model={"distribution_base": "logstd", "output_distribution_base": "logstd",
               "use_residual_distribution": True, "use_1x1_conv": False},
        loss={"min_mol_logscale": -14.0},
    )  # fmt: skip
    config = parse_config(translate(other))
    assert config.model.input_levels == 32
    assert config.model.standard_deviation == "scaled-exp"
    assert config.model.relative_posterior
    assert not config.model.block.options.pointwise
    options = config.likelihood.options
    assert (options.levels, options.convention) == (32, "efficient-vdvae")
    assert (options.gradient_smoothing, options.log_scale_factor) == (False, 0.6931472)
    assert options.log_scale_floor == -14.0
    assert config.data.options.root == "ffhq32"


def test_mnist_s_border_does_not_count(values):
    mnist = changed(values, data={"dataset_source": "binarized_mnist", "channels": 1})
    config = parse_config(translate(mnist))
    assert config.likelihood.name == "bernoulli"
    assert config.likelihood.options.margin == 2
    assert (config.model.input_mean, config.model.input_scale) == (0.0, 255.0)
    assert (config.data.name, config.data.options.padding) == ("mnist", 2)


def test_expressions_are_read_and_never_run(folder, tmp_path):
    text = (folder / "hparams-handed.cfg").read_text()
    path = tmp_path / "hparams.cfg"

    def read(value):
        path.write_text(text.replace("up_n_blocks = [1, 1, 2, 1, 1, 1]", f"up_n_blocks = {value}"))
        return read_hyperparameters(path)["model"]["up_n_blocks"]

    assert read("[1] * 2 + [2] + 3 * [1]") == [1, 1, 2, 1, 1, 1]
    assert read("(1, -2, 1 / 2)") == [1, -2, 0.5]
    assert read("1.") == 1.0
    run = tmp_path / "was-run"
    for value in (
        f"__import__('os').system('touch {run}')", "[x for x in (1, 2)]", "[1] * 10 ** 9",
        "[0] * 10001", "(lambda: 1)()", "1 + 'a'", "9e18 * 2", "1 / 0", "-[1]",
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=r"model\.up_n_blocks is .*, which is not read"):
            read(value)
    assert not run.exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "has no section [data]"),
        (b"[data]\nx = 1\n", "has no section [model]"),
        (b"no cfg", "is no cfg file"),
        (b"\xff\xfe", "is no cfg file"),
        (b"[data]\n" * 200_000, "larger than"),
    ],
)
def test_damaged_files_of_hyperparameters_are_refused(folder, tmp_path, content, named):
    path = tmp_path / "hparams.cfg"
    path.write_bytes(content)
    assert named in refused(folder / "checkpoint", tmp_path / "out", path, ConfigError)


@pytest.mark.parametrize(
    ("section", "change", "named"),
    [
        ("model", {"up_filters": [8, 10]}, "model.up_filters has 2 values"),
        ("model", {"up_filters": None}, "model.up_filters is 'None'; expected a list"),
        ("model", {"down_strides": [4, 1, 1, 2, 2, 1]}, "model.down_strides is not"),
        ("model", {"up_strides": [1, 2, 2, 1, 1, 4], "down_strides": [4, 1, 1, 2, 2, 1]},
         "does not end with 1"),
        ("model", {"up_strides": [1, 3, 2, 1, 4, 1], "down_strides": [1, 4, 1, 2, 3, 1]},
         "which does not divide 32"),
        ("model", {"up_filters": [9, 10, 12, 12, 16, 16]}, "where the stride is 1"),
        ("model", {"up_skip_filters": [8] * 6}, "model.up_skip_filters are not"),
        ("model", {"up_kernel_size": [2] * 6}, "kernels of an even side"),
        ("model", {"input_kernel_size": [1, 3]}, "the side of a square"),
        ("model", {"distribution_base": "var"}, "model.distribution_base is 'var'"),
        ("model", {"num_output_mixtures": 0}, "likelihood.mixtures is 0"),
        ("data", {"channels": 1}, "data.channels is 1"),
        ("data", {"num_bits": 9}, "data.num_bits is 9"),
        ("data", {"num_bits": 1e999}, "data.num_bits is inf; expected a finite number"),
        ("data", {"target_res": None}, "data.target_res is empty; expected a whole number"),
        ("model", {"up_n_blocks": [1, 1, 0, 1, 1, 1]},
         "model.up_n_blocks[2] is 0; expected a whole number, 1 or more"),
        ("model", {"up_n_blocks_per_res": [1, 0, 1, 0, 0, -1]},
         "model.up_n_blocks_per_res[5] is -1"),
        ("model", {"up_n_layers": [2, 1, 2, 2, 1, 1.5]}, "model.up_n_layers[5] is 1.5"),
        ("model", {"up_mid_filters_ratio": [1e999] * 6},
         "model.up_mid_filters_ratio[0] is inf; expected a finite number"),
        ("model", {"down_filters": [float("nan")] * 6}, "model.down_filters[0] is nan"),
        ("optimizer", {"learning_rate": "fast"}, "optimizer.learning_rate is 'fast'"),
        ("optimizer", {"warmup_steps": 1e999}, "optimizer.warmup_steps is inf"),
        ("optimizer", {"warmup_steps": 0.5}, "optimizer.warmup_steps is 0.5; expected a whole"),
        ("loss", {"gamma_max_steps": float("nan")}, "loss.gamma_max_steps is nan"),
        ("train", {"batch_size": None}, "train.batch_size is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_named(folder, tmp_path, values, section, change, named):
    config = as_json(tmp_path, changed(values, **{section: change}))
    text = refused(folder / "checkpoint", tmp_path / "out", config, ConfigError)
    assert named in text
    assert "changed.json" in text


def test_a_number_beyond_all_bounds_in_a_cfg_file_is_told(folder, tmp_path):
    text = (folder / "hparams-handed.cfg").read_text()
    path = tmp_path / "changed.cfg"
    path.write_text(text.replace("num_bits = 8.", "num_bits = 1e999"))
    text = refused(folder / "checkpoint", tmp_path / "out", path, ConfigError)
    assert "changed.cfg: data.num_bits is inf; expected a finite number" in text


def test_a_missing_key_is_named(folder, tmp_path, values):
    other = changed(values)
    del other["model"]["up_filters"]
    config = as_json(tmp_path, other)
    text = refused(folder / "checkpoint", tmp_path / "out", config, ConfigError)
    assert "model.up_filters is missing" in text


def test_tensors_left_over_missing_or_misshapen_are_refused(folder, tmp_path):
    content = torch.load(folder / "checkpoint", weights_only=True)
    config = folder / "hparams-handed.cfg"

    def saved(change):
        tensors = dict(content["ema_model_state_dict"])
        change(tensors)
        path = tmp_path / "checkpoint"
        torch.save({**content, "ema_model_state_dict": tensors}, path)
        return refused(path, tmp_path / "out", config, WeightsError)

    assert NAME in saved(lambda tensors: tensors.pop(NAME))
    assert "further.weight" in saved(lambda t: t.update({"further.weight": torch.zeros(3)}))
    assert NAME in saved(lambda t: t.update({NAME: torch.zeros(6, 10, 3, 3)}))
    assert NAME in saved(lambda t: t.update({NAME: torch.zeros(6, 10, 1, 1, dtype=torch.int32)}))
    infinite = torch.full((6, 10, 1, 1), torch.inf)
    assert "NaN or infinite" in saved(lambda t: t.update({NAME: infinite}))


def test_other_files_are_refused_and_nothing_is_run(folder, tmp_path, values):
    config, out = folder / "hparams-handed.cfg", tmp_path / "out"
    path = tmp_path / "other"

    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'was-run'}",)

    torch.save({"ema_model_state_dict": Runs()}, path)
    assert "Nothing in it was run" in refused(path, out, config, WeightsError)
    assert not (tmp_path / "was-run").exists()
    torch.save({"model_state_dict": {"x": torch.zeros(1)}}, path)
    text = refused(path, out, config, WeightsError)
    assert "has no state dict 'ema_model_state_dict'; it has: model_state_dict" in text
    # the hyper-parameters of another run
    other = as_json(tmp_path, changed(values, model={"up_n_layers": [2] * 6}))
    assert "does not fit" in refused(folder / "checkpoint", out, other, WeightsError)
    assert "has no configuration 'cifar'" in refused(
        folder / "checkpoint", out, "cifar", ConfigError
    )


def test_a_checkpoint_of_no_published_configuration_asks_for_its_own(folder, tmp_path):
    with pytest.raises(WeightsError, match="no published configuration") as caught:
        import_checkpoint("efficient-vdvae", folder / "checkpoint", tmp_path / "out")
    assert re.search(r"hparams-NAME\.cfg", caught.value.hint)


#: of the paper's table: blocks on the way up and down at each size, finest first
PUBLISHED = {
    "mnist": ([1, 2, 10, 5, 5], [1, 2, 10, 5, 5]),
    "cifar10": ([12, 7, 7, 4, 3], [22, 11, 7, 4, 3]),
    "imagenet32": ([16, 10, 9, 7, 6], [16, 25, 19, 7, 6]),
    "imagenet64": ([5, 16, 10, 9, 7, 6], [11, 16, 25, 19, 7, 6]),
    "celeba64": ([12, 9, 7, 7, 4, 2], [22, 16, 11, 7, 4, 2]),
    "ffhq256": ([6, 13, 13, 12, 8, 6, 6, 4], [6, 13, 13, 16, 10, 5, 4, 2]),
}


@pytest.mark.parametrize("name", list_presets("efficient-vdvae-*"))
def test_published_configurations_are_presets(name):
    config = find_preset(name).config
    model, train = config.model, config.train
    for key, value in ORIGINAL_MODEL.items():
        assert getattr(model, key) == value, key
    short = name.removeprefix("efficient-vdvae-")
    if short in PUBLISHED:
        sides = list(dict.fromkeys(model.resolutions))
        for key, counts in zip(("encoder_blocks", "decoder_blocks"), PUBLISHED[short], strict=True):
            at = [
                sum(getattr(s, key) for s in model.stages if s.resolution == side) for side in sides
            ]
            assert at == counts, key
    assert (train.optimizer.name, train.learning_rate, train.warmup_steps) == ("adamax", 1e-3, 100)
    assert train.ema_decay == 0.9999
    assert not train.ema_warmup
    # What the original's file says comes out again: names and shapes of a checkpoint follow.
    pairs = tensor_pairs(config)
    assert len({pair.original for pair in pairs}) == len(pairs)
    assert len({pair.name for pair in pairs}) == len(pairs)


def test_a_published_checkpoint_is_recognised_by_its_tensors(tmp_path):
    config = find_preset("efficient-vdvae-mnist").config
    tensors = {pair.original: np.broadcast_to(np.float32(0), pair.shape)
               for pair in tensor_pairs(config)}  # fmt: skip
    known = {name: find_preset(name).config for name in list_presets("efficient-vdvae-*")}
    assert recognise(tensors, tmp_path, known).model == config.model
    assert from_original(tensors, config)["encoder.skips.16_2.kernel"].shape == (1, 1, 32, 64)
