"""Keras layers that the hierarchy and its components share."""

from hvae_core.layers import *
from hvae_core.layers import __all__ as __all__
