"""What a wheel holds: every package, and no weights that make it heavy."""

import tomllib
from pathlib import Path

import pytest

from hvae_core.zoo import read_preset

ROOT = Path(__file__).resolve().parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
#: larger weights are pulled, from the sources that preset.yaml names or a clone of the repository
LARGEST = 10_000_000
WEIGHTS = sorted((ROOT / "zoo").glob("*/model.safetensors"))


def test_every_package_is_listed():
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for name in ("hvae", "hvae_core", "hvae_plugins")
        for pattern in ("__init__.py", "flow.__init__.py.txt")
        for path in (ROOT / name).rglob(pattern)
    }
    assert set(SETUPTOOLS["packages"]) == found | {"hvae_zoo"}


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.parent.name)
def test_large_weights_are_not_in_the_wheel(path):
    excluded = SETUPTOOLS.get("exclude-package-data", {}).get("hvae_zoo", [])
    is_large = path.stat().st_size > LARGEST
    assert (f"{path.parent.name}/{path.name}" in excluded) == is_large
    assert read_preset(path.parent).weights.sha256
