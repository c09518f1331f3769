"""The command line, a YAML file and Python lead to one resolved configuration."""

import json

import yaml
from click.testing import CliRunner

from hvae_core.api import _as_config
from hvae_core.cli.main import cli
from hvae_core.config import Config, ModelConfig, TrainConfig, load_config

MODEL = {
    "resolutions": [8, 4],
    "image_channels": 1,
    "width": [8, 16],
    "decoder_blocks": [1, 2],
    "norm": "group",
    "encoder_middle_width": 8,
    "decoder_middle_width": 8,
    "flow": {"name": "sylvester", "flows": [0, 2]},
}
TRAIN = {"batch_size": 64, "epochs": 3, "clip_norm": 5.0, "compile": False, "devices": [0]}
VALUES = {
    "model": MODEL,
    "likelihood": {"name": "logistic-mixture", "mixtures": 5},
    "data": {"name": "digits", "binarization": "dynamic"},
    "train": TRAIN,
}


def as_overrides(values, prefix=""):
    """Every value as an argument of --set, components by their names first."""
    for key, value in sorted(values.items(), key=lambda item: item[0] != "name"):
        if isinstance(value, dict):
            yield from as_overrides(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={json.dumps(value)}"


def test_three_ways_one_configuration(tmp_path):
    file, empty = tmp_path / "mine.yaml", tmp_path / "empty.yaml"
    file.write_text(yaml.safe_dump(VALUES))
    empty.write_text("")
    arguments = [part for text in as_overrides(VALUES) for part in ("--set", text)]
    shown = [
        json.loads(CliRunner().invoke(cli, ["config", "show", *words, "--json"]).output)
        for words in ([str(file)], [str(empty), *arguments])
    ]
    typed = Config(
        model=ModelConfig(**MODEL),
        likelihood=VALUES["likelihood"],
        data=VALUES["data"],
        train=TrainConfig(**TRAIN),
    )
    expected = typed.to_dict()
    assert shown[0] == shown[1] == expected
    assert load_config(VALUES).to_dict() == expected
    assert _as_config(file, []).to_dict() == expected
    assert _as_config({}, list(as_overrides(VALUES))).to_dict() == expected


def test_the_command_line_wins_over_the_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("data: digits\ntrain: {batch_size: 64, epochs: 3}\n")
    train = _as_config(file, ["train.batch_size=8"]).train
    assert (train.batch_size, train.epochs) == (8, 3)
