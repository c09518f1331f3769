"""The page of the options' sources names options that exist, with their defaults."""

import re
from pathlib import Path

import pytest

from hvae_core.cli.plugins import option_rows, yaml_text
from hvae_core.config import Config, ModelConfig, ReadoutConfig, TrainConfig
from hvae_core.plugins import manager
from hvae_core.zoo.finding import find_preset, list_presets

PAGE = Path(__file__).resolve().parents[2] / "docs" / "option-sources.md"
ROWS = re.findall(r"^\| `([a-z-]+\.[\w.-]+)` \| `([^`]*)` \|", PAGE.read_text("utf-8"), re.M)
SOURCES = dict(
    re.findall(
        r"^\| `([a-z-]+\.[\w.-]+)` \| `[^`]*` \|[^|]*\| ([^|]*) \|", PAGE.read_text("utf-8"), re.M
    )
)
#: papers, and the presets of their published configurations
PUBLISHED = {"Child 2020": "openai-*", "Hazami et al. 2022": "efficient-vdvae-*"}
SECTIONS = {"model": ModelConfig, "model.readout": ReadoutConfig, "train": TrainConfig, "": Config}


@pytest.mark.parametrize(("option", "default"), ROWS)
def test_the_default_is_the_code_s(option, default):
    section, _, name = option.rpartition(".")
    if section in SECTIONS:
        options = SECTIONS[section]
    else:
        kind, _, component = section.partition(".")
        options = manager().get(kind, component).config
    rows = {row["name"]: row["default"] for row in option_rows(options)}
    assert yaml_text(rows[name]) == default


def test_every_option_of_training_and_of_the_model_s_size_has_a_source():
    named = {option for option, _ in ROWS}
    kept = {"log_steps", "checkpoint_steps", "checkpoint_minutes", "keep_checkpoints",
            "evaluate_epochs", "sample_epochs", "tensorboard", "trackers", "report",
            "max_nonfinite_steps", "seed",
            "validation_fraction", "validation_images", "beta_1", "beta_2", "epsilon"}  # fmt: skip
    assert {f"train.{name}" for name in TrainConfig.model_fields if name not in kept} <= named


def attributed():
    """Option, paper and values that the page attributes to it: ``pad: Child 2020, its code``."""
    for option, source in SOURCES.items():
        for paper in PUBLISHED:
            values = re.findall(rf"(?:^|; )([\w-]+): {re.escape(paper)}", source)
            if values and option.split(".")[0] in ("model", "train"):
                yield option, paper, values


@pytest.mark.parametrize(("option", "paper", "values"), list(attributed()))
def test_what_is_attributed_to_a_paper_is_in_its_published_configurations(option, paper, values):
    for name in list_presets(PUBLISHED[paper]):
        found = find_preset(name).config
        for key in option.split("."):
            found = getattr(found, key)
        assert getattr(found, "name", found) in values, name


def test_attributions_are_found():
    found = {option for option, _, _ in attributed()}
    assert {"model.channel_change", "model.pooling", "model.readout.kind"} <= found


@pytest.mark.parametrize(
    ("option", "source", "other"),
    [
        # The paper's code draws the copy's noise anew; the port repeats it.
        ("regularizer.cr-vae.shared_noise", "the port", "Sinha & Dieng"),
        # Child's code pads on the way up and cuts on the way down; the port projects.
        ("model.channel_change", "projection: the port; pad: Child 2020", "projection: Child"),
        ("model.readout.last_activation", "no source", "Kuzina"),
        ("model.conv", "the port", "conv: NVAE"),
    ],
)
def test_a_source_is_not_given_what_is_another_s(option, source, other):
    assert SOURCES[option].startswith(source)
    assert other not in SOURCES[option]
