"""hvae: hierarchical variational autoencoders on JAX, TensorFlow and PyTorch.

Importing this package is light: what is listed in `__all__` is fetched from `hvae_core.api` on
first use, and Keras is imported only when a model is built or loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hvae_core.api import build, create, evaluate, list_presets, load, load_exported, train
    from hvae_core.errors import HvaeError

__all__ = [
    "HvaeError",
    "__version__",
    "build",
    "create",
    "evaluate",
    "list_presets",
    "load",
    "load_exported",
    "train",
]


def __getattr__(name: str) -> Any:
    """Fetch a public name on first use (PEP 562)."""
    if name == "__version__":
        from hvae_core.files.versions import hvae_version

        return hvae_version()
    if name == "HvaeError":
        from hvae_core.errors import HvaeError

        return HvaeError
    if name in __all__:
        from hvae_core import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, fetched or not."""
    return sorted(set(globals()) | set(__all__))
