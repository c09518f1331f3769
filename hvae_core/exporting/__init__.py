"""Writing models for other runtimes and codebases. Importing this needs no Keras.

`graphs` says what is exported; `openvino_format`, `onnx_format` and `openai_vdvae` are the formats,
plugins of the kind ``export``; `folder` is an export folder and its manifest;
`hvae_core.exported.exported_model` runs one.
"""

from hvae_core.exported.folder import is_export_folder
from hvae_core.exporting.exporting import export_model, export_source

__all__ = ["export_model", "export_source", "is_export_folder"]
