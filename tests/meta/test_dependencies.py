"""Every declared dependency is imported by the product, or has a reason."""

import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: a distribution's module, where it has another name
MODULES = {
    "huggingface_hub": "huggingface_hub",
    "mlflow-skinny": "mlflow",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}
#: dependencies that other packages import, and which
INDIRECT = {
    "alembic": "mlflow, for its store in a file",
    "imagecodecs": "tifffile, for some compressions",
    "ipykernel": "nbclient, which starts it",
    "onnxscript": "torch.onnx.export",
    "pytest-xdist": "pytest, by -n",
    "setuptools": "pip, where a test installs a package without a network",
    "sqlalchemy": "mlflow, for its store in a file",
}
#: extras of those who work on hvae, whose tools are run and not imported
TOOLS = {"dev", "all", "docs"}


def requirements():
    extras = {k: v for k, v in PROJECT["optional-dependencies"].items() if k not in TOOLS}
    for text in [*PROJECT["dependencies"], *(t for listed in extras.values() for t in listed)]:
        name = re.match(r"[A-Za-z0-9_.-]+", text).group()
        if name != "hvae":
            yield name


@functools.cache
def imported():
    """The modules that are imported anywhere: read once by the worker that needs them."""
    found = set()
    places = ("hvae_core", "hvae_plugins", "tests", "docs")
    for path in (path for place in places for path in (ROOT / place).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("name", sorted(set(requirements())))
def test_a_dependency_is_imported(name):
    module = MODULES.get(name, name.replace("-", "_"))
    assert (module in imported()) != (name in INDIRECT), name


def test_the_light_dependencies_are_all_that_the_core_imports_without_an_extra():
    names = {MODULES.get(n, n) for n in map(_name, PROJECT["dependencies"])}
    assert {"safetensors", "pluggy", "click", "rich", "pydantic"} <= names & imported()


def _name(text):
    return re.match(r"[A-Za-z0-9_.-]+", text).group()
