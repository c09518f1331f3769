"""Overrides in each of their forms."""

import pytest

from hvae_core.config import load_config, parse_config
from hvae_core.errors import ConfigError

FILE = {"train": {"epochs": 3, "warmup_epochs": 2, "optimizer": {"name": "muon", "momentum": 0.5}}}


@pytest.mark.parametrize(
    "overrides",
    [
        "train.steps=2",
        ["train.steps=2"],
        ("train.steps=2",),
        {"train.steps": 2},
        {"train": {"steps": 2}},
        [{"train.steps": 2}],
    ],
)
def test_every_form_says_the_same(overrides):
    config = parse_config(FILE, overrides)
    assert (config.train.steps, config.train.epochs) == (2, None)
    assert config.train.optimizer.options.momentum == 0.5
    assert config == parse_config(FILE, ["train.steps=2"])
    assert load_config(parse_config(FILE), overrides) == config


def test_a_mapping_takes_values_of_python():
    overrides = {
        "model.width": (8, 16, 16, 16, 16),
        "train.optimizer": {"name": "muon"},
        "model": {"readout": {"width": 8}, "flow": "sylvester"},
        "train.patience": None,
    }
    config = parse_config(FILE, overrides)
    assert config.model.width == [8, 16, 16, 16, 16]
    assert config.model.readout.width == 8
    assert config.model.flow.name == "sylvester"
    assert config.train.optimizer.options.momentum != 0.5, "a component is replaced, not merged"


@pytest.mark.parametrize(
    ("override", "value", "gone"),
    [
        ("train.steps", 20, "epochs"),
        ("train.warmup_steps", 5, "warmup_epochs"),
    ],
)
def test_of_two_that_exclude_each_other_the_one_given_stays(override, value, gone):
    for overrides in ({override: value}, f"{override}={value}"):
        train = parse_config(FILE, overrides).train
        assert getattr(train, override.removeprefix("train.")) == value
        assert getattr(train, gone) is None
    assert parse_config({"train": {"steps": 5}}, "train.epochs=1").train.steps is None
    assert parse_config(FILE, {override: None}).train.epochs == 3


def test_a_later_override_of_the_section_wins_over_one_of_a_key():
    config = parse_config(FILE, ["train.steps=5", "train={epochs: 2}"])
    assert (config.train.steps, config.train.epochs) == (None, 2)
    assert parse_config(FILE, ["train.steps=5", "train={}"]) == parse_config({})


def test_both_given_at_once_are_refused_still():
    with pytest.raises(ConfigError, match="both given"):
        parse_config({}, ["train.epochs=1", "train.steps=1"])


@pytest.mark.parametrize("overrides", [3, [3], {3: 4}, {"train..steps": 2}, "train.steps", [None]])
def test_what_is_no_override_is_one_sentence(overrides):
    with pytest.raises(ConfigError, match="is not of the form key=value"):
        parse_config({}, overrides)


@pytest.mark.parametrize(
    ("given", "overrides"),
    [
        ("columns:0.25", ["measurement.fill=0"]),
        ("columns,known=0.25", {"measurement.fill": 0}),
        (None, ["measurement=columns:0.25", "measurement.fill=0"]),
        ("columns:0.75,fill=0", ["measurement.known=0.25"]),
        ("blur:2", ["measurement.name=columns", "measurement.known=0.25", "measurement.fill=0"]),
    ],
)
def test_an_option_of_a_measurement_in_a_word_is_overridden_as_any(given, overrides):
    config = parse_config({"measurement": given}, overrides)
    assert config == parse_config({"measurement": "columns:0.25,fill=0"})


@pytest.mark.parametrize("given", [["columns:0.25", "blur:2"], 5])
def test_what_has_no_options_is_told(given):
    with pytest.raises(ConfigError, match=r"sets a key inside 'measurement', which is") as told:
        parse_config({"measurement": given}, "measurement.fill=0")
    assert told.value.hint == "Give measurement as a whole."
