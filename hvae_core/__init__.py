"""hvae: hierarchical variational autoencoders on JAX, TensorFlow and PyTorch.

Importing this package is light: what is listed in `__all__` is fetched from `hvae_core.api` on
first use, and Keras is imported only when a model is built or loaded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hvae_core.api import (
        build,
        create,
        evaluate,
        join_processes,
        list_presets,
        load,
        load_exported,
        train,
    )
    from hvae_core.errors import HvaeError
    from hvae_core.inference.latents import Latents
    from hvae_core.inference.watching import watch_progress
    from hvae_core.vae import HierarchicalVAE

__all__ = [
    "HierarchicalVAE",
    "HvaeError",
    "Latents",
    "__version__",
    "build",
    "create",
    "evaluate",
    "join_processes",
    "list_presets",
    "load",
    "load_exported",
    "train",
    "watch_progress",
]

#: names that are fetched from modules of their own, without the rest of `hvae_core.api`
_LIGHT = {
    "HvaeError": "errors",
    "Latents": "inference.latents",
    "watch_progress": "inference.watching",
}

#: modules that pages and plugins named, and where they are now
_MOVED = {
    "backend": "backends.selection",
    "download": "fetching.download",
    "paths": "files.places",
    "plotting": "images.grids",
    "processes": "backends.processes",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name on first use (PEP 562)."""
    if name == "__version__":
        from hvae_core.files.versions import hvae_version

        return hvae_version()
    if name in _LIGHT:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LIGHT[name]}"), name)
    if name == "HierarchicalVAE":
        from hvae_core.backends.selection import select_backend

        select_backend()
        from hvae_core.vae import HierarchicalVAE

        return HierarchicalVAE
    if name in __all__:
        from hvae_core import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, fetched or not."""
    return sorted(set(globals()) | set(__all__))


def _alias(old: str, new: str) -> None:
    """Let the module ``old`` be imported still; a name asked of it is that of ``new``."""

    def fetch(name: str) -> Any:
        from importlib import import_module

        if name.startswith("__"):
            raise AttributeError(f"module {__name__}.{old} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{new}"), name)

    module = type(sys)(f"{__name__}.{old}", f"Moved to `{__name__}.{new}`.")
    module.__dict__["__getattr__"] = fetch
    sys.modules[module.__name__] = module


for _names in _MOVED.items():
    _alias(*_names)
