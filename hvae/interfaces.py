"""The contracts of components, and the typed outputs that they return."""

from hvae_core.interfaces import *
from hvae_core.interfaces import __all__ as __all__
