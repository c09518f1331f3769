"""The page of the options' sources names options that exist, with their defaults."""

import re
from pathlib import Path

import pytest

from hvae_core.cli.plugins import option_rows
from hvae_core.config import Config, ModelConfig, ReadoutConfig, TrainConfig
from hvae_core.plugins import manager

PAGE = Path(__file__).resolve().parents[2] / "docs" / "option-sources.md"
ROWS = re.findall(r"^\| `([a-z-]+\.[\w.-]+)` \| `([^`]*)` \|", PAGE.read_text("utf-8"), re.M)
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
    assert str(rows[name]) == default


def test_every_option_of_training_and_of_the_model_s_size_has_a_source():
    named = {option for option, _ in ROWS}
    kept = {"log_steps", "checkpoint_steps", "checkpoint_minutes", "keep_checkpoints",
            "evaluate_epochs", "sample_epochs", "tensorboard", "trackers", "report",
            "max_nonfinite_steps", "seed",
            "validation_fraction", "validation_images", "beta_1", "beta_2", "epsilon"}  # fmt: skip
    assert {f"train.{name}" for name in TrainConfig.model_fields if name not in kept} <= named
