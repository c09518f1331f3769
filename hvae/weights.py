"""Weights as safetensors, and their names: ``decoder.blocks.3.posterior.conv1.kernel``."""

from hvae_core.weights import *
from hvae_core.weights import __all__ as __all__
