"""Who may import whom, beside the one way down of `test_house`."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path for name in ("hvae_core", "hvae_plugins", "zoo") for path in (ROOT / name).rglob("*.py")
)
CORE = [path for path in FILES if path.is_relative_to(ROOT / "hvae_core")]
BACKENDS = {"keras", "jax", "tensorflow", "torch", "openvino"}
KERAS_FREE = (
    "cli", "report", "exporting", "zoo", "exported", "images", "importing", "runs", "data",
    "fetching", "weights", "config", "plugins", "files", "interfaces",
)  # fmt: skip


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


@pytest.mark.parametrize("path", CORE, ids=relative)
def test_the_core_names_no_plugin(path):
    assert not [name for name in imports(path) if name.startswith("hvae_plugins")]


def is_light(path):
    parts = path.relative_to(ROOT).parts
    heavy = ("vae.py", "openvino_runtime.py", "onnx_runtime.py")
    inside = len(parts) == 2 or parts[1] in KERAS_FREE
    return inside and parts[-1] not in heavy and "testing" not in parts


@pytest.mark.parametrize("path", list(filter(is_light, CORE)), ids=relative)
def test_light_packages_import_no_backend_at_the_top(path):
    top = {name.split(".")[0] for name in imports(path, top_level_only=True)}
    assert not top & BACKENDS


@pytest.mark.parametrize("path", sorted((ROOT / "hvae_core/prob").rglob("*.py")), ids=relative)
def test_pure_probability_imports_no_model(path):
    inner = {name for name in imports(path) if name.startswith("hvae_core")}
    allowed = {"hvae_core.interfaces", "hvae_core.prob", "hvae_core.files.threads"}
    assert inner <= allowed


#: what every plugin may import, and what those that write and read models may, too
CONTRACTS = (
    "hvae_core.config", "hvae_core.data", "hvae_core.errors", "hvae_core.fetching",
    "hvae_core.files", "hvae_core.interfaces", "hvae_core.layers", "hvae_core.plugins",
    "hvae_core.prob", "hvae_plugins",
)  # fmt: skip
FORMATS = (
    "hvae_core.backends", "hvae_core.exported", "hvae_core.exporting", "hvae_core.importing",
    "hvae_core.inference", "hvae_core.weights", "hvae_core.zoo",
)  # fmt: skip


@pytest.mark.parametrize("path", sorted({*FILES} - {*CORE}), ids=relative)
def test_plugins_know_only_the_contracts(path):
    is_format = relative(path).split("/")[1] in ("exporters", "importers")
    allowed = (*CONTRACTS, *FORMATS) if is_format else CONTRACTS
    inner = [name for name in imports(path) if name.startswith("hvae_")]
    assert all(name.startswith(allowed) for name in inner), inner


@pytest.mark.parametrize("path", CORE, ids=relative)
def test_what_is_public_is_documented(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module says nothing of itself"
    missing = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not missing
