"""The house: one way down. Every import counts: at the top, inside functions, for type checking."""

import ast
import collections
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "hvae_core"

#: every entry of hvae_core/, top to bottom: an import goes strictly down, or stays in its room
HOUSE = (
    "cli",
    "plugins.testing",  # the contract kit, which checks all rooms below
    "explore",
    "__init__",
    "api",
    "report",
    "training",
    "vae",
    "exporting",
    "zoo",
    "exported",
    "evaluation",
    "inference",
    "images",
    "model",
    "importing",
    "runs",
    "data",
    "fetching",
    "backends",
    "weights",
    "config",
    "plugins",
    "prob",
    "files",
    "layers",
    "interfaces",
    "errors",
)
LOOSE = {"__init__", "api", "vae", "errors"}
#: arrows that run upwards, with the reason; at most one
EXCEPTIONS: dict[tuple[str, str], str] = {}

#: files over 300 lines, and why each is one idea
LONG: dict[str, str] = {
    "hvae_core/api.py": "the public functions: their arguments, what they raise, and little else",
    "hvae_core/config/model.py": "the model's options, and what they may not be together",
    "hvae_core/fetching/transfer.py": "one transfer: redirects, resumption, retries, verification",
    "hvae_core/interfaces/components.py": "the contracts of a model's parts",
    "hvae_core/evaluation/keras_model.py": "the methods that Keras gives a model",
    "hvae_core/inference/programs.py": "a model's programs, and the graphs of them",
    "hvae_core/model/decoder.py": "the way down, and its three passes",
    "hvae_core/model/network.py": "the network's passes: of images, along latents, of the prior",
    "hvae_core/training/step.py": "one update, what a checkpoint keeps of it, and its figures",
    "hvae_core/training/run.py": "a run under way: its updates, records, validation, checkpoints",
    "hvae_core/zoo/pulling.py": "a pull, from what is asked for to the folder in its place",
}
#: base names that stand in two rooms, and why
TWINS: dict[str, str] = {
    "bernoulli": "the density, and the likelihood made of it",
    "component": "a configuration's choice of one, and what every one promises",
    "conditioning": "its options, and how an embedding enters feature maps",
    "counterfactual": "images under another condition, and their command",
    "conditions": "what their values are, and those of a data set's images",
    "decode": "an image file's bytes, and the command that decodes latents",
    "evaluate": "the figures, and their command",
    "exponential": "a schedule, and the exponential of a convolution",
    "flow": "the contract of flows, and a flow",
    "gaussian": "the density, and the likelihood made of it",
    "graph_files": "an exporter's writing of graphs, once for each format",
    "layer": "the Keras layer of a component, whose package describes it without Keras",
    "location_scale": "the densities, and what the likelihoods made of them share",
    "logistic_mixture": "the density, and the likelihood made of it",
    "noise": "the numbers of a pass, and the measurement",
    "optimizer": "the contract of optimizers, and the update rule around one",
    "parquet": "reading the files, and the data set made of them",
    "train": "the options, and the command",
}


def modules(*packages):
    """Module names to files, those of packages without ``.__init__``."""
    found = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path, known):
    """The modules of ``known`` that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        wanted = []
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in wanted:
            while name and name not in known:
                name = name.rpartition(".")[0]
            if name:
                yield name


FILES = modules("hvae_core", "hvae_plugins")


@functools.cache
def edges():
    """Which files each file imports, read once by the worker that needs them."""
    return {
        name: {other for other in imports(path, FILES) if other != name}
        for name, path in FILES.items()
    }


def room(module):
    """hvae_core.model.decoder -> model."""
    parts = module.split(".")[1:]
    if parts[:2] == ["plugins", "testing"]:
        return "plugins.testing"
    return parts[0] if parts else "__init__"


def circles(edges):
    """Strongly connected components of more than one node (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            part = []
            while not part or part[-1] != node:
                part.append(stack.pop())
            if len(part) > 1:
                found.append(sorted(part))

    for node in edges:
        if node not in index:
            visit(node)
    return found


def test_there_is_no_circle_of_files():
    assert circles(edges()) == []


def test_there_is_no_circle_of_rooms():
    rooms = {}
    for name, others in edges().items():
        if name.startswith("hvae_core"):
            inside = {room(other) for other in others if other.startswith("hvae_core")}
            rooms.setdefault(room(name), set()).update(inside - {room(name)})
    assert circles(rooms) == []


def test_imports_go_down():
    up = []
    for name, others in edges().items():
        for other in others if name.startswith("hvae_core") else ():
            pair = (room(name), room(other))
            if not other.startswith("hvae_core") or pair[0] == pair[1] or pair in EXCEPTIONS:
                continue
            if HOUSE.index(pair[0]) > HOUSE.index(pair[1]):
                up.append(f"{name} imports {other}")
    assert up == []


def test_at_most_one_arrow_runs_up_and_it_is_still_there():
    assert len(EXCEPTIONS) <= 1
    arrows = {(room(n), room(o)) for n, others in edges().items() for o in others}
    assert set(EXCEPTIONS) <= arrows


def test_every_room_is_listed_and_four_modules_are_loose():
    entries = {p.stem if p.suffix == ".py" else p.name for p in CORE.iterdir()}
    entries -= {"__pycache__", "py.typed"}
    assert entries == {name for name in HOUSE if "." not in name}
    assert {path.stem for path in CORE.glob("*.py")} == LOOSE


def test_a_long_file_has_a_reason():
    long = {
        path.relative_to(ROOT).as_posix()
        for path in FILES.values()
        if path.read_text(encoding="utf-8").count("\n") > 300
    }
    assert long == set(LONG)


def test_a_base_name_in_two_rooms_has_a_reason():
    places = {}
    for name, path in FILES.items():
        if path.name != "__init__.py":
            places.setdefault(path.stem, set()).add(name.rpartition(".")[0])
    twins = {stem for stem, rooms in places.items() if len(rooms) > 1}
    assert twins == set(TWINS)


def test_no_two_files_of_tests_have_one_name():
    """As pytest imports them by their names alone."""
    names = collections.Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert {name: count for name, count in names.items() if count > 1} == {}
