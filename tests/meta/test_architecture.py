"""The rules of the house: who may import whom, and how large a room may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path for name in ("hvae_core", "hvae_plugins", "zoo") for path in (ROOT / name).rglob("*.py")
)
BACKENDS = {"keras", "jax", "tensorflow", "torch", "openvino"}
KERAS_FREE = ("config", "plugins", "data", "zoo", "cli")


def imports(path, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_the_core_names_no_plugin(path):
    if relative(path).startswith("hvae_core/"):
        assert not [name for name in imports(path) if name.startswith("hvae_plugins")]


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_light_packages_import_no_backend_at_the_top(path):
    parts = path.relative_to(ROOT).parts
    is_light = parts[0] == "hvae_core" and (len(parts) == 2 or parts[1] in KERAS_FREE)
    if not is_light or parts[-1] == "layers.py" or "testing" in parts:
        return
    top = {name.split(".")[0] for name in imports(path, top_level_only=True)}
    assert not top & BACKENDS


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_pure_probability_imports_no_model(path):
    if relative(path).startswith("hvae_core/prob/"):
        inner = {name for name in imports(path) if name.startswith("hvae_core")}
        assert inner <= {"hvae_core.interfaces", "hvae_core.prob"}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_plugins_know_only_the_contracts(path):
    if relative(path).startswith("hvae_plugins/"):
        allowed = ("hvae_core.interfaces", "hvae_core.plugins", "hvae_core.prob",
                   "hvae_core.layers", "hvae_core.errors", "hvae_core.data",
                   "hvae_core.config", "hvae_core.files.places", "hvae_core.fetching.download",
                   "hvae_plugins")  # fmt: skip
        inner = [name for name in imports(path) if name.startswith("hvae_")]
        assert all(name.startswith(allowed) for name in inner), inner


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_rooms_are_small(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 300, f"{lines} lines: two ideas in one room?"
