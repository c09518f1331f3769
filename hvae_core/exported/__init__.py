"""Running what was exported, without Keras."""

from hvae_core.exported.exported_model import ExportedModel, load_exported
from hvae_core.exported.manifest import is_export_folder

__all__ = ["ExportedModel", "is_export_folder", "load_exported"]
