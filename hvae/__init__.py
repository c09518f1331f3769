"""hvae: hierarchical variational autoencoders on JAX, TensorFlow and PyTorch.

The public names. The code is in `hvae_core`, where files may move; what this package gives stays.
Importing it is light: a name is fetched on first use, Keras only when a model is built or loaded.
"""

from typing import TYPE_CHECKING, Any

import hvae_core as _core
from hvae_core import __all__ as __all__

#: for authors of components and callers who read configurations
_MODULES = (
    "callbacks",
    "config",
    "errors",
    "exporting",
    "interfaces",
    "layers",
    "plugins",
    "weights",
)

if TYPE_CHECKING:
    from hvae import callbacks as callbacks
    from hvae import config as config
    from hvae import errors as errors
    from hvae import exporting as exporting
    from hvae import interfaces as interfaces
    from hvae import layers as layers
    from hvae import plugins as plugins
    from hvae import weights as weights
    from hvae_core import *

    __version__: str
else:  # unseen by type checkers, which then know a misspelt name

    def __getattr__(name: str) -> Any:
        """Fetch a public name or module on first use (PEP 562)."""
        if name in _MODULES:
            from importlib import import_module

            return import_module(f"{__name__}.{name}")
        if name in __all__:
            return getattr(_core, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names and modules, fetched or not."""
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
