"""The errors a user can meet; each is an `HvaeError` with a message, a hint and an exit code."""

from hvae_core.errors import *
from hvae_core.errors import __all__ as __all__
