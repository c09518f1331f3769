"""What an export format is made of: a model's graphs, and the export folder."""

from hvae_core.exporting import *
from hvae_core.exporting import __all__ as __all__
