"""The registry: how a component describes itself, and how one is found."""

from hvae_core.plugins import *
from hvae_core.plugins import __all__ as __all__
