import json

import pytest
import yaml
from click.testing import CliRunner

from hvae_core.cli.main import cli
from hvae_core.config import parse_config
from hvae_core.errors import ConfigError, PresetError


def run(*arguments):
    return CliRunner().invoke(cli, ["config", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("likelihood: logistic-mixture\ntrain:\n  epochs: 3\n")
    return path


def test_show_gives_a_file_that_reads_back_to_the_same(file):
    text = run("show", file, "--set", "likelihood.mixtures=5").output
    shown = yaml.safe_load(text)
    expected = {"name": "logistic-mixture", "mixtures": 5, "convention": "normalised"}
    assert shown["likelihood"].items() >= expected.items()
    assert shown["train"]["epochs"] == 3
    assert parse_config(shown).to_dict() == shown
    assert "resolutions: [32, 16, 8, 4, 1]\n" in text


def test_show_as_json(file):
    shown = json.loads(run("show", file, "--json", "--set", "model.width=384").output)
    assert shown["model"]["width"] == 384


def test_presets_and_folders_and_runs(tmp_path, file):
    assert yaml.safe_load(run("show", "digits-vdvae").output)["data"]["name"] == "digits"
    for name in ("preset.yaml", "config.yaml"):
        folder = tmp_path / name.partition(".")[0]
        (folder / "checkpoints").mkdir(parents=True)
        (folder / name).write_text(file.read_text())
        assert yaml.safe_load(run("show", folder).output)["train"]["epochs"] == 3


def test_errors_name_file_and_key(file):
    file.write_text("train:\n  lerning_rate: 1\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml.*'train\.lerning_rate'"):
        run("show", file)
    with pytest.raises(ConfigError, match=r"There is no file .*other\.yaml"):
        run("show", file.with_name("other.yaml"))
    with pytest.raises(PresetError, match="Did you mean 'digits-vdvae'"):
        run("show", "digits-vdva")


def test_the_schema_knows_the_installed_components_options():
    schema = json.loads(run("schema").output)
    likelihoods = schema["properties"]["likelihood"]["anyOf"]
    mixture = next(
        part
        for part in likelihoods
        if part.get("properties", {}).get("name") == {"const": "logistic-mixture"}
    )
    assert mixture["properties"]["mixtures"]["default"] == 10
    assert mixture["additionalProperties"] is False
    assert "x-kind" not in json.dumps(schema)
    model = schema["$defs"]["ModelConfig"]["properties"]
    assert {"type": "null"} in model["flow"]["anyOf"]
    assert model["width"]["description"]
    references = {part.split('"')[0] for part in json.dumps(schema).split('"$ref": "#/$defs/')[1:]}
    assert references <= set(schema["$defs"])
