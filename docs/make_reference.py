"""Write the API reference, HTML pages made from the docstrings with pdoc, to docs/reference.

``python docs/make_reference.py [FOLDER]``; needs hvae[docs] and a backend.
"""

from __future__ import annotations

import argparse
import importlib
import warnings
from pathlib import Path
from types import ModuleType

#: what a user, or the author of a plugin, works with
MODULES = (
    "hvae",
    "hvae.config",
    "hvae.errors",
    "hvae.interfaces",
    "hvae.layers",
    "hvae.plugins",
    "hvae.plugins.testing",
    "hvae_core",
    "hvae_core.data",
    "hvae_core.evaluation",
    "hvae_core.inference",
    "hvae_core.model",
    "hvae_core.prob",
    "hvae_core.training",
    "hvae_core.weights",
    "hvae_core.zoo",
)


def make(folder: Path) -> Path:
    """Write the pages of `MODULES` to ``folder``, and give the first one."""
    from hvae_core.backends.selection import select_backend

    select_backend()
    import pdoc
    import pdoc.render

    for name in MODULES:
        _made_visible(importlib.import_module(name))
    pdoc.render.configure(docformat="google", footer_text="hvae")
    with warnings.catch_warnings():
        # Names imported for type checking alone stay text.
        warnings.filterwarnings("ignore", message="Error parsing type annotation")
        pdoc.pdoc("hvae", "hvae_core", output_directory=folder)  # they list the others
    return folder / "index.html"


def _made_visible(module: ModuleType) -> None:
    """Fetch what a module gives on first use only, and list the modules in it."""
    names = [name for name in getattr(module, "__all__", ()) if not name.startswith("__")]
    for name in names:
        setattr(module, name, getattr(module, name))
    start = f"{module.__name__}."
    inner = [name.removeprefix(start) for name in MODULES if name.startswith(start)]
    if names:
        module.__dict__["__all__"] = [*names, *(name for name in inner if "." not in name)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "reference")
    print(make(parser.parse_args().folder))
