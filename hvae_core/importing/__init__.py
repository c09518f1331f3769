"""Checkpoints of other implementations; the formats are plugins of the kind ``import``."""

from hvae_core.importing.choosing import find_importer, formats_that_describe
from hvae_core.importing.torch_files import read_state_dict, write_state_dict

__all__ = ["find_importer", "formats_that_describe", "read_state_dict", "write_state_dict"]
