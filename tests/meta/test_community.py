"""Changelog fragments, the citation, and what GitHub reads say what the rest of the tree says."""

import configparser
import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOWNCRIER = PROJECT["tool"]["towncrier"]
FRAGMENTS = sorted(
    path for path in (ROOT / TOWNCRIER["directory"]).iterdir() if path.name != "README.md"
)
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_named_and_says_something(path):
    types = "|".join(kind["directory"] for kind in TOWNCRIER["type"])
    assert re.fullmatch(rf"(\d+|\+[a-z0-9-]+)\.({types})\.md", path.name)
    text = path.read_text(encoding="utf-8").strip()
    assert len(text.split()) > 3
    assert text.endswith(".")


def test_a_release_finds_its_place_in_the_changelog():
    changelog = (ROOT / TOWNCRIER["filename"]).read_text(encoding="utf-8")
    assert changelog.count(TOWNCRIER["start_string"]) == 1


def test_the_citation_is_of_this_version():
    citation, project = read(ROOT / "CITATION.cff"), PROJECT["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in project["authors"]
    ]


def spread(name):
    """The environments that a section's name means: {a,b}-c is a-c and b-c."""
    parts = [part.strip("{}").split(",") for part in re.split(r"(\{[^}]*\})", name)]
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def test_the_workflow_runs_every_tox_environment():
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    expected = set(re.split(r"[,\s]+", tox["tox"]["env_list"].strip()))
    for name in tox.sections():
        if name.startswith("testenv:"):
            expected |= set(spread(name.removeprefix("testenv:")))
    matrix = read(ROOT / ".github/workflows/tests.yml")["jobs"]["tox"]["strategy"]["matrix"]
    environments = {*matrix["environment"], *(row["environment"] for row in matrix["include"])}
    assert environments == expected


def test_contributors_find_every_room():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "hvae_core").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)/` \|", page, re.MULTILINE)) == rooms


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_can_be_filled_in(path):
    form = read(path)
    if path.name == "config.yml":
        return
    assert {"name", "description", "body"} <= set(form)
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(set(ids)) == len(ids)
    assert any(field.get("validations", {}).get("required") for field in form["body"])
