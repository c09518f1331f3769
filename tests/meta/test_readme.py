"""The README names what a user may install and choose."""

import re
import tomllib
from pathlib import Path

import pytest

from hvae_core.plugins import manager

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
#: extras of hvae's own developers
DEVELOPERS = {"docs", "notebooks", "test", "test-backend", "dev"}
#: components by the words of the table, where these are not their names
WORDS = {
    "conv-sylvester": "convolutional Sylvester", "iaf": "inverse autoregressive",
    "logistic-mixture": "mixtures of logistics", "student-t": "Student's t",
    "noise-model": "noise model", "discretized-gaussian": "discretized Gaussians",
    "diffusion-vampprior": "diffusion VampPrior",
}  # fmt: skip


def test_every_extra_is_in_the_table():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = re.search(r"\| extra \|.*?\n\n", TEXT, re.S)[0]
    named = set(re.findall(r"`([\w-]+)`", table))
    assert set(project["optional-dependencies"]) - DEVELOPERS <= named


@pytest.mark.parametrize("kind", ["flow", "likelihood", "prior", "condition", "regularizer"])
def test_the_components_of_a_kind_are_in_the_table(kind):
    table = TEXT[TEXT.index("## What is in it") :].lower()
    for entry in manager().entries(kind):
        if entry.distribution == "hvae":
            assert WORDS.get(entry.name, entry.name).lower() in table, entry.name
