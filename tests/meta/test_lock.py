"""The versions that are tested, ``constraints.txt``, are some that ``pyproject.toml`` allows."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LINES if not line.startswith("#")]


def allowed():
    """Each requirement of the project, its extras and its build."""
    project = PYPROJECT["project"]
    texts = [*PYPROJECT["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        texts += extra
    return sorted({text for text in texts if Requirement(text).name != "hvae"})


@pytest.mark.parametrize("text", allowed())
def test_a_requirement_is_pinned_to_a_version_that_it_allows(text):
    wanted = Requirement(text)
    name = canonicalize_name(wanted.name)
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == name]
    assert pins, f"{name} is missing: make constraints.txt anew, as its first lines say"
    for pin in pins:
        version = str(pin.specifier).removeprefix("==")
        assert wanted.specifier.contains(version, prereleases=True), f"{text}, but {pin}"


@pytest.mark.parametrize("pin", PINS, ids=str)
def test_a_pin_is_one_version(pin):
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    assert "*" not in specifier.version
    assert pin.url is None
    assert not pin.extras


def test_the_tests_and_the_audit_use_them():
    assert "constraints.txt" in (ROOT / "tox.ini").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert "pip-audit" in workflow
    assert "constraints.txt" in workflow
