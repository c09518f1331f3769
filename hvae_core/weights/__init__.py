"""Weights as safetensors, named by the module path: ``decoder.blocks.3.posterior.conv1.kernel``.

Importing this package imports no Keras; the model is handed in.
"""

from hvae_core.weights.announced import check_announced
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
    "check_announced",
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
