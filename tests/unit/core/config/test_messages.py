import re

import pytest

from hvae_core.config import Config, ModelConfig, TrainConfig, parse_config
from hvae_core.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"attention": "davi"}, "Unknown key 'attention'. Did you mean 'model.attention'?"),
        ({"model": {"epochs": 3}}, "Unknown key 'model.epochs'. Did you mean 'train.epochs'?"),
        ({"model": {"width": True}}, "model.width is true; expected a number, not true or false."),
        (
            {"model": {"flow": {"name": "none", "layers": 3}}},
            "model.flow: none has no options, but layers is given; give the name of a flow as "
            "well.",
        ),
        ({"train": {"seed": None}}, "train.seed is empty; expected an integer."),
        ({"model": {"resolutions": {0: 8}}}, "model.resolutions is a mapping; expected a list."),
        (
            {"likelihood": {"name": "logistic-mixture", "levels": 1, "mixtures": "a"}},
            "likelihood.mixtures is 'a'; expected an integer. likelihood.levels is 1; expected "
            "greater than or equal to 2.",
        ),
    ],
)
def test_the_sentence(values, sentence):
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("train.lr", "train.learning_rate"),
        ("train.num_epochs", "train.epochs"),
        ("train.max_steps", "train.steps"),
        ("train.wd", "train.weight_decay"),
        ("train.max_grad_norm", "train.clip_norm"),
        ("train.optimizer.wd", "train.weight_decay"),
        ("train.iterations", "train.steps"),
        ("lr", "train.learning_rate"),
        ("model.bs", "train.batch_size"),
        ("model.batch_size", "train.batch_size"),
        ("model.latent_dim", "model.latent_width"),
    ],
)
def test_other_libraries_names_lead_to_ours(key, meant):
    with pytest.raises(ConfigError) as caught:
        parse_config({}, [f"{key}=1"])
    assert str(caught.value) == f"Unknown key {key!r}. Did you mean {meant!r}?"


def test_several_problems_are_told_each_with_its_hint():
    values = {"model": {"widht": 3}, "train": {"batch_size": 0, "aa": 1, "optimizer": "x"}}
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    message = str(caught.value)
    assert message.startswith("Unknown key 'model.widht'. Did you mean 'model.width'? ")
    assert "train.batch_size is 0; expected greater than 0." in message
    assert message.endswith("(1 more.)")


def test_an_override_with_a_bracket_is_an_unknown_key():
    with pytest.raises(ConfigError, match=r"'model\.width\[0\]'. Did you mean 'model\.width'"):
        parse_config({}, ["model.width[0]=64"])


def test_a_default_that_cannot_be_loaded_is_named_by_its_key(monkeypatch):
    from hvae_core.plugins import manager

    monkeypatch.setenv("HVAE_DISABLE_PLUGINS", "dataset.digits")
    manager.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"^data: The dataset 'digits' is disabled"):
            parse_config({})
    finally:
        monkeypatch.undo()
        manager.cache_clear()


def test_a_heading_with_nothing_under_it_is_an_empty_section():
    assert parse_config({"train": None, "model": None}) == Config()


def numeric_fields():
    """The keys of all sections that take numbers, with the types of those."""
    for section, kind in {"model": ModelConfig, "train": TrainConfig}.items():
        for name, field in kind.model_fields.items():
            text = str(field.annotation)
            for number in (int, float):
                if re.search(rf"\b{number.__name__}\b", text):
                    yield section, name, number


@pytest.mark.parametrize(("section", "name", "kind"), list(numeric_fields()))
def test_no_number_is_larger_than_what_a_step_computes_with(section, name, kind):
    large = 10**30 if kind is int else 1e300
    for value in (large, -large, [large]):
        with pytest.raises(ConfigError, match=rf"{section}\.{name}") as caught:
            parse_config({section: {name: value}})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"train": {"kl_balancing_steps": 2**31}},
            "train.kl_balancing_steps is 2147483648; expected at most 2147483647.",
        ),
        (
            {"train": {"seed": 2**63}},
            "train.seed is 9223372036854775808; expected at most 9223372036854775807.",
        ),
        (
            {"train": {"learning_rate": 1e300}},
            "train.learning_rate is 1e+300; expected at most 3.4e+38.",
        ),
        (
            {"model": {"input_mean": -1e300}},
            "model.input_mean is -1e+300; expected at least -3.4e+38.",
        ),
        (
            {"train": {"schedule": {"name": "cosine", "decay_steps": 2**63}}},
            "train.schedule: the option 'decay_steps' is 9.22e+18; expected at most "
            "9223372036854775807.",
        ),
        (
            {"train": {"optimizer": {"name": "muon", "rms_rate": 1e39}}},
            "train.optimizer: the option 'rms_rate' is 1e+39; expected at most 3.4e+38.",
        ),
    ],
)
def test_the_largest_numbers_are_named(values, sentence):
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    assert str(caught.value) == sentence


def test_the_largest_seed_and_count_are_taken():
    parse_config({"train": {"seed": 2**63 - 1, "kl_balancing_steps": 2**31 - 1}})
