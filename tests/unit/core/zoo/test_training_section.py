"""What a card says of the training: the recipe, how it was followed, what has to be there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hvae_core.config import parse_config
from hvae_core.zoo.preset import Preset
from hvae_core.zoo.training_section import recipe, training_section

MODEL = {"resolutions": [8, 4, 1], "image_channels": 1, "width": 8}
HOW = {"how": "In a hurry.", "images_seen": 5}


def preset(train: dict[str, Any], trained: dict[str, Any] | None = None) -> Preset:
    info = {
        "model": MODEL, "data": "digits", "train": train, "trained": trained,
        "measurement": "columns:0.25" if "objective" in train else None,
    }  # fmt: skip
    return Preset("mine", Path("mine"), info)


def told(train: dict[str, Any]) -> list[str]:
    """The parts of a recipe."""
    return recipe(parse_config({"model": MODEL, "train": train}).train).split(", ")


def test_without_a_story_the_recipe_is_what_was_done() -> None:
    text = training_section(preset({"epochs": 3}, {"images_seen": 5, "device": "a core"}))
    assert text.startswith("adamax, learning rate 0.001 (cosine), ")
    assert text.endswith(".\n\n- images seen: 5\n- device: a core")


def test_a_recipe_that_needs_no_weights_is_followed_from_fresh_ones() -> None:
    text = training_section(preset({"epochs": 3}, {**HOW, "start": "other"}))
    followed = "The preset's recipe, which `hvae train mine` follows from fresh weights: adamax, "
    assert text.startswith(f"In a hurry.\n\n{followed}")
    assert text.endswith("\n\n- images seen: 5\n- start: other")


@pytest.mark.parametrize("train", [{"freeze": ["encoder"]}, {"objective": "partial-posterior"}])
@pytest.mark.parametrize(
    ("start", "named"),
    [
        ("digits-vdvae", "digits-vdvae"),
        (None, "PRESET"),
        ("some; rm -r .", "PRESET"),
        (["a", "b"], "PRESET"),
    ],
)
def test_what_is_kept_has_to_be_there(train: dict[str, Any], start: Any, named: str) -> None:
    known = {} if start is None else {"start": start}
    text = training_section(preset(train, {**HOW, **known}))
    assert f"which `hvae train mine --weights {named}` follows: " in text


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ({"minutes": 90}, "90 minutes"),
        ({"steps": 1200}, "1,200 steps"),
        ({"epochs": 3}, "3 epochs"),
        ({}, "no set length"),
    ],
)
def test_how_long_it_trains(length: dict[str, int], words: str) -> None:
    assert words in told({"epochs": None, "steps": None, "minutes": None, **length})


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ({"free_bits": 0.5}, "free_bits 0.5"),
        ({"beta_1": 0.97}, "beta_1 0.97"),
        ({"beta_2": 0.99}, "beta_2 0.99"),
        ({"beta": 2.0}, "beta 2"),
        ({"beta_warmup": 500}, "beta_warmup 500"),
        ({"kl_balancing_steps": 300}, "kl_balancing_steps 300"),
        ({"clip_norm": 20.0}, "gradients clipped to 20"),
        ({"optimizer": {"name": "muon", "adam_lr_ratio": 0.25}}, "muon with adam_lr_ratio 0.25"),
        ({"optimizer": {"name": "muon", "adam_lr_ratio": 1.0}}, "muon"),
        (
            {"schedule": {"name": "cosine", "decay_start": 50}},
            "learning rate 0.001 (cosine with decay_start 50)",
        ),
        ({"freeze": ["encoder", "*.prior"]}, "frozen: `encoder` and `*.prior`"),
        (
            {"parameter_groups": [{"weights": ["a", "b`"], "learning_rate_factor": 5.0}]},
            "5 times the rate for `a` and `b`",
        ),
    ],
)
def test_what_is_not_the_default_is_told(train: dict[str, Any], words: str) -> None:
    assert words in told(train)
    assert words not in told({})


def test_a_warm_up_of_nothing_is_not_told() -> None:
    assert told({"beta_warmup": 0}) == told({})
