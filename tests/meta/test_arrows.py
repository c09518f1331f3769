"""Dependencies run one way, and what is public says what it does."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "hvae_core").rglob("*.py"))

#: cli -> api -> {zoo, training, report, evaluation, inference} -> model -> interfaces -> prob
HEIGHT = {
    "cli": 7, "explore": 6, "api": 5, "zoo": 4, "training": 4, "report": 4, "evaluation": 4,
    "inference": 4,
    "model": 3, "interfaces": 2, "prob": 1,
}  # fmt: skip
#: pure tensor functions name the contracts' types alone
EXCEPTIONS = {("prob", "interfaces")}


def relative(path):
    return path.relative_to(ROOT).as_posix()


def room(module):
    """hvae_core.prob.noise -> model; the contract kit, which checks all rooms, is its own."""
    parts = [*module.split("."), "", ""]
    return "plugins.testing" if parts[1:3] == ["plugins", "testing"] else parts[1]


def imports_on_load(path):
    """Modules imported when the file is: not inside functions, nor for type checking."""
    pending = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_arrows_run_downwards(path):
    own = room(relative(path).removesuffix(".py").replace("/", "."))
    if own not in HEIGHT:
        return
    for module in imports_on_load(path):
        other = room(module) if module.startswith("hvae_core.") else ""
        if other in HEIGHT and (own, other) not in EXCEPTIONS:
            assert HEIGHT[other] <= HEIGHT[own], f"{own} imports {module}"


def test_importing_rooms_makes_no_circle():
    edges = {}
    for path in FILES:
        own = room(relative(path).removesuffix(".py").replace("/", "."))
        for module in imports_on_load(path):
            if module.startswith("hvae_core.") and room(module) != own:
                edges.setdefault(own, set()).add(room(module))
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for other in sorted(edges.get(name, ())):
                visit(other)
            done.add(path.pop())

    for name in sorted(edges):
        visit(name)


@pytest.mark.parametrize("path", FILES, ids=relative)
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
