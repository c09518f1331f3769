"""What may watch a training run."""

from hvae_core.training.callbacks import *
from hvae_core.training.callbacks import __all__ as __all__
