"""`import hvae`: the documented names, the same objects as in `hvae_core`, and as light."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hvae
import hvae_core

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "hvae"
MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in FOLDER.rglob("*.py")
    if path.name != "__main__.py"
)
PAGES = [
    path
    for pattern in ("*.md", "docs/*.md", "examples/**/*.md", "examples/**/*.py", "zoo/*/README.md")
    for path in sorted(ROOT.glob(pattern))
] + sorted((ROOT / "hvae_core" / "plugins" / "template").glob("*.txt"))
#: public modules that are elsewhere in the core
ELSEWHERE = {"hvae.callbacks": "hvae_core.training.callbacks"}
#: what hvae alone calls: a component is given what has passed them
OWN = {"check_image_shape", "check_image_values"}
#: where a page takes a name from: an import, a dotted path in code
IMPORT = re.compile(r"^from (hvae(?:_core)?(?:\.\w+)*) import ([\w, ]+)$", re.MULTILINE)
DOTTED = re.compile(r"`(hvae(?:_core)?(?:\.\w+)+)|\b(hvae\.[a-z_.]+)\(")


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_gives_the_names_of_the_core(name):
    public = importlib.import_module(name)
    core = importlib.import_module(ELSEWHERE.get(name, name.replace("hvae", "hvae_core", 1)))
    assert public.__doc__
    assert public.__all__ == core.__all__
    for each in core.__all__:
        ours, theirs = getattr(public, each), getattr(core, each)
        assert ours is theirs or (each == "__version__" and ours == theirs)


def test_the_modules_are_attributes_too():
    assert {f"hvae.{name}" for name in hvae._MODULES} == {
        name for name in MODULES if name.count(".") == 1
    }
    assert hvae.errors is importlib.import_module("hvae.errors")
    shown = {name for name in dir(hvae) if not name.startswith("__")}
    assert shown == {*hvae_core.__all__, *hvae._MODULES} - {"__version__"}
    with pytest.raises(AttributeError, match="'hvae' has no attribute 'nonsense'"):
        _ = hvae.nonsense


@pytest.mark.parametrize("module", ["errors", "layers", "interfaces"])
def test_every_public_class_and_function_is_listed(module):
    core = importlib.import_module(f"hvae_core.{module}")
    files = [
        importlib.import_module(f"{core.__name__}.{found.name}")
        for found in pkgutil.iter_modules(getattr(core, "__path__", []))
    ]
    defined = {
        name
        for file in (core, *files)
        for name, value in vars(file).items()
        if getattr(value, "__module__", "") == file.__name__ and not name.startswith("_")
    }
    assert defined
    assert defined - OWN <= set(core.__all__)


def test_importing_it_is_light():
    heavy = "{'keras', 'numpy', 'pydantic', 'pluggy', 'yaml'} & set(sys.modules)"
    command = f"import hvae, sys; assert not {heavy}, {heavy}; hvae.errors, hvae.HvaeError"
    subprocess.run([sys.executable, "-c", command], check=True)


def test_the_core_does_not_import_its_facade():
    for name in ("hvae_core", "hvae_plugins"):
        for path in (ROOT / name).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"^\s*(from|import) hvae\b(?!_)", text, re.MULTILINE), path


@pytest.mark.parametrize("old", hvae_core._MOVED)
def test_a_module_that_moved_is_found_under_its_old_name(old):
    module = importlib.import_module(f"hvae_core.{old}")
    new = importlib.import_module(f"hvae_core.{hvae_core._MOVED[old]}")
    names = [name for name in vars(new) if not name.startswith("_")]
    assert names
    for name in names:
        assert getattr(module, name) is getattr(new, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"^\s*(from|import) hvae_core\b", text, re.MULTILINE), (
        "name what is public"
    )
    for module, names in IMPORT.findall(text):
        for name in names.split(","):
            assert hasattr(importlib.import_module(module), name.strip()), f"{module}: {name}"
    for path in map("".join, DOTTED.findall(text)):
        resolve(path)


def resolve(path):
    """The thing that a dotted path means, whatever part of it are modules."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise AssertionError(f"There is no {path}.")
