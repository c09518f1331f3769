"""Weights as safetensors, named by the module path: ``decoder.blocks.3.posterior.conv1.kernel``.

Importing this package imports no Keras and no configuration; the model is handed in. `announced`,
which compares a file with a configuration, is imported by itself.
"""

from hvae_core.weights.model_weights import (
    assign,
    load_weights,
    model_arrays,
    save_weights,
    weight_names,
)
from hvae_core.weights.tensors import (
    Header,
    TensorEntry,
    copy_weights,
    read_header,
    read_metadata,
    read_tensors,
    write_tensors,
)

__all__ = [
    "Header",
    "TensorEntry",
    "assign",
    "copy_weights",
    "load_weights",
    "model_arrays",
    "read_header",
    "read_metadata",
    "read_tensors",
    "save_weights",
    "weight_names",
    "write_tensors",
]
