"""Configurations: the typed models, reading them from YAML, per-scale options."""

from hvae_core.config import *
from hvae_core.config import __all__ as __all__
