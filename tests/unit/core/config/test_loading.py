import dataclasses
import subprocess
import sys
import types
import typing

import pytest
import yaml

from hvae_core.config import (
    Config,
    PerScale,
    at_scale,
    check_against_shape,
    create_component,
    dump_yaml,
    load_config,
    parse_config,
)
from hvae_core.config.model import Activation
from hvae_core.errors import ConfigError
from hvae_core.plugins import ComponentSpec, hookimpl, manager


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"train": {"lerning_rate": 1}},
            "'train.lerning_rate'. Did you mean 'train.learning_rate'",
        ),
        ({"mdel": {}}, "Unknown key 'mdel'. Did you mean 'model'"),
        ({"model": {"readout": {"kindd": "x"}}}, "Did you mean 'model.readout.kind'"),
        ({"likelihood": {"name": "logistic-mixture", "mixture": 3}}, "'likelihood.mixtures'"),
        ({"likelihood": "logistic-mixtur"}, "Did you mean 'logistic-mixture'"),
        ({"likelihood": {"mixtures": 3}}, "likelihood: the key 'name' is missing"),
        ({"model": {"condition": "label"}}, "model.condition.classes is missing"),
        ({"data": "none"}, "data: a dataset is needed"),
        ({"model": {"width": [8, 16]}}, "model.width has 2 values but there are 5 scales"),
        ({"model": {"width": "wide"}}, "model.width is 'wide'; expected an integer"),
        ({"model": {"width": [8, 8, 8, 8, 0]}}, "model.width.4 is 0; expected greater than 0"),
        ({"model": {"resolutions": [32, 7]}}, "model.resolutions has 7 after 32"),
        ({"model": {"decoder_blocks": 0}}, "model.decoder_blocks is 0 at every scale"),
        ({"model": {"norm": "group", "width": 12}}, "model.width is 12; .* multiple of 8"),
        (
            {"model": {"norm": "group", "decoder_width": 20}},
            "model.decoder_width is 20; with model.norm: group it must be a multiple of 8",
        ),
        (
            {"model": {"block": {"name": "bottleneck", "norm": "group"}, "decoder_width": 20}},
            "with model.block.norm: group",
        ),
        (
            {"model": {"norm": "group", "prior": {"name": "diffusion-vampprior", "size": 2}}},
            "model.width plus the 3 that the layers' priors read of model.prior is 67; with",
        ),
        (
            {"model": {"norm": "group", "width": 20, "encoder_blocks": 0, "decoder_width": 16}},
            "model.decoder_width plus model.width is 36; with",
        ),
        ({"model": {"channel_change": "pad", "width": [9, 8, 8, 8, 8]}}, "use projection"),
        (
            {"train": {"optimizer": "adamm"}},
            "train.optimizer: There is no optimizer named 'adamm'. Did you mean 'adam'",
        ),
        (
            {"train": {"optimizer": {"name": "muon", "momentun": 0.9}}},
            "Unknown key 'train.optimizer.momentun'. Did you mean 'train.optimizer.momentum'",
        ),
        (
            {"train": {"schedule": {"name": "warmup-stable-decay", "decay": "steep"}}},
            "train.schedule.decay is 'steep'; expected 'sqrt', 'linear' or 'cosine'",
        ),
        ({"train": {"trackers": ["wandbb"]}}, "train.trackers.0: There is no tracker named"),
        (
            {"train": {"trackers": [{"name": "wandb", "projct": "x"}]}},
            "Unknown key 'train.trackers.0.projct'. Did you mean 'train.trackers.0.project'",
        ),
        ({"train": {"trackers": ["wandb", "wandb"]}}, "train.trackers names one twice"),
        ({"train": {"trackers": "wandb"}}, "train.trackers is 'wandb'; expected a list"),
        ({"train": {"batch_size": 10, "accumulate": 3}}, "does not divide train.batch_size"),
        ({"train": {"epochs": 1, "steps": 1}}, "both given; set one of them to null"),
        ({"train": {"epochs": 1, "minutes": 1}}, "train.epochs and train.minutes are both given"),
        (
            {"train": {"epochs": 1, "steps": 1, "minutes": 1}},
            "train.epochs and train.steps and train.minutes are all given; set two of them to null",
        ),
        ({"train": {"minutes": 0}}, "train.minutes is 0; expected greater than 0"),
        ({"train": {"remat": [True]}}, "train.remat has 1 values but there are"),
        (
            {"train": {"compile": "fast"}},
            "train.compile is 'fast'; expected true, false or 'inductor'",
        ),
        ({"train": {"report": "maybe"}}, "train.report is 'maybe'; expected true or false"),
        ({"train": {"report": []}}, r"train.report is \[\]; expected true or false"),
        ({"train": {"optimizer": None}}, "train.optimizer: an optimizer is needed here"),
        ({"train": {"optimizer": 3}}, "train.optimizer: expected the name of an optimizer, or"),
        (
            {"train": {"optimizer": {"name": "muon", "exclude_layers": "x"}}},
            "train.optimizer.exclude_layers is 'x'; expected a list",
        ),
        (
            {"train": {"optimizer": {"name": "muon", "exclude_layers": ["stem", "("]}}},
            r"train.optimizer.exclude_layers.1: '\(' is no regular expression",
        ),
        (
            {"train": {"optimizer": {"name": "muon", "exclude_layers": ["a{99999999999}"]}}},
            "is no regular expression",
        ),
        ({"train": {"final_learning_rate": 1.0}}, "is above train.learning_rate"),
        ({"train": {"beta_cycles": 2}}, "train.beta_cycles needs train.beta_warmup"),
        ({"train": {"skip_start_step": 1, "skip_start_epoch": 1}}, "set one of them to null"),
        ({"train": {"beta_warmup": 1, "beta_warmup_epochs": 1}}, "set one of them to null"),
        ({"train": {"warmup_steps": 1, "warmup_epochs": 1}}, "set one of them to null"),
        ({"format": 4}, "format is 4; expected 3"),
        ({"model": 3}, "model is 3; expected a mapping of options"),
        ({"model": {3: 4}}, r"Unknown key 'model\.3'"),
        ({"model": {"resolutions": []}}, "model.resolutions is \\[\\]; expected at least 1"),
        ({"model": {"block_activation": "sillu"}}, "block_activation is 'sillu'; .* 'silu'"),
        ({"train": {"learning_rate": float("inf")}}, "is inf; expected a finite number"),
        ({"model": {"input_mean": float("nan")}}, "is nan; expected a finite number"),
        ({"likelihood": {"name": 3}}, "likelihood: the key 'name' is 3; expected the name"),
    ],
)
def test_one_sentence_names_the_key_and_what_was_expected(values, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        parse_config(values)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_list_s_faulty_entry_is_told_once():
    with pytest.raises(ConfigError) as caught:
        parse_config({"model": {"width": [8, 8, 8, 8, 0]}})
    assert str(caught.value).count("model.width") == 1


def test_yaml_round_trip_keeps_everything():
    config = parse_config(
        {
            "model": {"width": [8, 16, 16, 32, 32], "readout": {"kind": "features"}},
            "likelihood": {"name": "logistic-mixture", "mixtures": 3},
            "data": {"name": "cifar10"},
            "train": {"epochs": 3},
        }
    )
    assert parse_config(yaml.safe_load(dump_yaml(config))) == config


def test_overrides_win_and_keep_their_types():
    config = parse_config(
        {"likelihood": "logistic-mixture", "train": {"batch_size": 8}},
        [
            "train.batch_size=64",
            "model.width=[384, 8, 8, 8, 8]",
            "likelihood.mixtures=5",
            "train.compile=false",
            "model.readout.kind=features",
            "model.flow=none",
        ],
    )
    assert config.train.batch_size == 64
    assert config.model.width == [384, 8, 8, 8, 8]
    assert config.likelihood.options.mixtures == 5
    assert config.train.compile is False
    assert config.model.flow is None


def test_a_new_component_drops_the_old_one_s_options():
    values = {"likelihood": {"name": "logistic-mixture", "mixtures": 5}}
    config = parse_config(values, ["likelihood.name=bernoulli"])
    assert config.likelihood.name == "bernoulli"
    assert values["likelihood"]["mixtures"] == 5


@pytest.mark.parametrize("override", ["train.batch_size", "=3", "train..x=1", "train.seed.x=1"])
def test_a_malformed_override_is_named(override):
    with pytest.raises(ConfigError, match="override"):
        parse_config({"train": {"seed": 1}}, [override])


def test_files(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("train:\n  epochs: 3\n")
    assert load_config(path).train.epochs == 3
    path.write_text("train:\n  epochs: 3\n  epochs: 4\n")
    with pytest.raises(ConfigError, match=r"a\.yaml line 3.*'epochs' is given twice"):
        load_config(path)
    path.write_text("train: [1,\n")
    with pytest.raises(ConfigError, match=r"a\.yaml line \d+ is not valid YAML"):
        load_config(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="holds a list"):
        load_config(path)
    path.write_text("!!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(path)
    with pytest.raises(ConfigError, match="There is no file"):
        load_config(tmp_path / "b.yaml")


def test_a_preset_s_further_keys_are_left_out():
    assert parse_config({"name": "x", "figures": {}, "weights": {}, "licence": "MIT"}) == Config()


def test_stages_are_finest_first_and_latents_coarsest_first():
    config = parse_config(
        {
            "model": {
                "resolutions": [8, 4, 1],
                "latent_width": [1, 2, 3],
                "decoder_blocks": [2, 1, 1],
            }
        }
    )
    assert [stage.resolution for stage in config.model.stages] == [8, 4, 1]
    assert config.model.latent_shapes == [(1, 1, 3), (4, 4, 2), (8, 8, 1), (8, 8, 1)]
    assert [stage.kernel_size for stage in config.model.stages] == [3, 3, 1]


def test_large_kernels_grow_with_the_resolution():
    sides = [1024, 512, 256, 128, 64]
    config = parse_config({"model": {"resolutions": sides, "large_kernels": True}})
    assert [stage.kernel_size for stage in config.model.stages] == [13, 11, 7, 5, 3]


def test_images_of_another_shape_are_refused():
    sentence = r"'digits' have shape \[8, 8, 1\]; the model needs images \[32, 32, 3\]"
    with pytest.raises(ConfigError, match=sentence):
        check_against_shape(Config(), (8, 8, 1))
    check_against_shape(Config(), (32, 32, 3))


@pytest.mark.parametrize(
    "value",
    ["[1", "2020-99-99", "!!int abc", "!!bool abc", "9" * 5_000, "[" * 5_000, "{a: 1, a: 2}"],
)
def test_a_malformed_value_of_an_override_is_one_sentence(value):
    with pytest.raises(ConfigError, match=r"The value of the override .* is not valid YAML"):
        parse_config({}, [f"train.seed={value}"])


@pytest.mark.parametrize(
    "raw", [b"train: {seed: \xff}", b"train: {seed: !!int abc}", b"? [1]\n: 2"]
)
def test_whatever_is_wrong_in_a_file_names_file_and_line(tmp_path, raw):
    path = tmp_path / "a.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=r"a\.yaml line 1 is not valid YAML"):
        load_config(path)


def test_per_scale_options_of_a_plugin_are_taken_apart():
    @dataclasses.dataclass(frozen=True)
    class Options:
        flows: PerScale[int] = 0
        kind: str = "a"

    assert at_scale(Options([1, 2, 3]), 1, 3).flows == 2
    assert at_scale(Options(4), 1, 3).flows == 4
    with pytest.raises(ValueError, match="2 values but there are 3 scales"):
        at_scale(Options([1, 2]), 0, 3)


def test_create_component_checks_options():
    assert create_component("likelihood", "bernoulli").name == "bernoulli"
    with pytest.raises(ConfigError, match="mixtures"):
        create_component("likelihood", {"name": "logistic-mixture", "mixtures": 0})


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        ("likelihood", {"name": "logistic-mixture", "mixturs": 1}, "'likelihood.mixtures'"),
        ("likelihood", "none", "likelihood: a likelihood is needed here"),
        ("likelihod", "bernoulli", "no kind 'likelihod'.*Did you mean 'likelihood'"),
    ],
)
def test_create_component_says_what_is_wrong(kind, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create_component(kind, value)


@dataclasses.dataclass(frozen=True)
class RadialOptions:
    layers: PerScale[int] = 2

    def __post_init__(self):
        if self.layers == 13:
            raise ConfigError("layers is 13.", "Take 12.")
        if self.layers == 14:
            raise ValueError("layers is 14")


@pytest.fixture
def radial():
    """A third party's flow, registered in this process."""
    module = types.ModuleType("radial_flow")

    @hookimpl
    def hvae_component():
        return ComponentSpec(
            kind="flow", name="radial", summary="", builder=dict, config=RadialOptions
        )

    module.hvae_component = hvae_component
    manager().register(module)
    yield
    manager().unregister("flow", "radial")


@pytest.mark.usefixtures("radial")
class TestAThirdPartysOptions:
    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"layers": 13}, "model.flow: layers is 13. Take 12."),
            ({"layers": 14}, "model.flow: layers is 14."),
            ({"layers": "x"}, "model.flow.layers is 'x'; expected an integer."),
            ({"layerz": 1}, "Unknown key 'model.flow.layerz'. Did you mean 'model.flow.layers'?"),
        ],
    )
    def test_errors_say_where(self, options, sentence):
        with pytest.raises(ConfigError) as caught:
            parse_config({"model": {"flow": {"name": "radial", **options}}})
        assert str(caught.value) == sentence

    def test_a_list_reaches_the_stages(self):
        config = parse_config({"model": {"flow": {"name": "radial", "layers": [1, 2, 3, 4, 5]}}})
        assert [stage.flow.options.layers for stage in config.model.stages] == [1, 2, 3, 4, 5]
        assert parse_config(yaml.safe_load(dump_yaml(config))) == config

    def test_overrides_choose_it_and_set_its_options(self):
        config = parse_config({}, ["model.flow=radial", "model.flow.layers=4"])
        assert config.model.flow.options == RadialOptions(4)
        assert parse_config(config.to_dict(), ["model.flow=none"]).model.flow is None
        with pytest.raises(ConfigError, match=r"model\.flow: the key 'name' is missing"):
            parse_config({}, ["model.flow.layers=4"])


@pytest.mark.parametrize("name", typing.get_args(Activation))
def test_every_activation_is_one_of_keras(name):
    import keras

    assert callable(keras.activations.get(name))


def test_configuration_imports_no_keras():
    code = (
        "import sys; from hvae_core.config import Config; Config();sys.exit('keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
