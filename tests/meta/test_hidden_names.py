"""No layer of ours hides what PyTorch's modules need, which Keras's layers are on that backend."""

import ast
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
#: by base: a flow's `forward` is its call on every backend, see `hvae_core.interfaces.Flow.call`;
#: `compile` is Keras's as well
ALLOWED = {"Flow": {"forward"}, "FlatFlow": {"forward"}, "HierarchicalNetwork": {"compile"}}
NEEDED = {name for name in dir(torch.nn.Module) if not name.startswith("__")} | {"__call__"}


def layers():
    """(file, class, bases, names defined) of the classes that are Keras layers by their bases."""
    for room in ("hvae_core", "hvae_plugins"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.ClassDef):
                    continue
                bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                if bases & {
                    "Layer",
                    "Conv2D",
                    "Dense",
                    "Model",
                    "FlatFlow",
                    "HierarchicalNetwork",
                    "KerasModel",
                }:
                    names = {f.name for f in node.body if isinstance(f, ast.FunctionDef)}
                    yield path.relative_to(ROOT).as_posix(), node.name, bases, names


def test_no_layer_hides_a_name_of_torch():
    found = list(layers())
    assert {"HierarchicalVAE", "HierarchicalNetwork", "Bottleneck", "Sylvester"} <= {
        name for _, name, _, _ in found
    }
    for path, name, bases, names in found:
        allowed = set().union(*(ALLOWED.get(base, set()) for base in bases))
        assert names & NEEDED <= allowed, f"{path}: {name}"
