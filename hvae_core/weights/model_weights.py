"""A model's weights to and from a file, checked as a whole before anything is changed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.errors import WeightsError
from hvae_core.weights.fit import misfits
from hvae_core.weights.naming import weight_names
from hvae_core.weights.tensors import read_tensors, write_tensors


def model_arrays(model: Any, dtype: str = "float32") -> dict[str, np.ndarray]:
    """The model's weights as NumPy arrays by name.

    Args:
        model: a built Keras model.
        dtype: of the floating-point weights: float32, float16 or bfloat16.

    Raises:
        WeightsError: the model has no weights yet, or ``dtype`` is another one.
    """
    import keras

    if dtype not in ("float32", "float16", "bfloat16"):
        raise WeightsError(f"Weights cannot be saved as {dtype!r}; expected float32 or float16.")
    kind: Any = dtype
    if dtype == "bfloat16":
        import ml_dtypes

        kind = ml_dtypes.bfloat16
    arrays = {}
    for name, variable in weight_names(model).items():
        is_float = "float" in str(variable.dtype)
        array = np.asarray(keras.ops.convert_to_numpy(variable.value))
        arrays[name] = array.astype(kind) if is_float else array
    return arrays


def save_weights(
    model: Any,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: str = "float32",
) -> Path:
    """Write all weights of ``model`` to a safetensors file, whole or not at all.

    Args:
        model: a built Keras model.
        path: the file.
        metadata: added to ``format: hvae`` and the version of hvae, such as the preset's name.
        dtype: of the floating-point weights.

    Raises:
        WeightsError: the model has no weights yet.
        HvaeError: the file cannot be written; an older one is as it was.
    """
    return write_tensors(model_arrays(model, dtype), path, file_metadata(metadata))


def load_weights(model: Any, path: str | Path) -> dict[str, np.ndarray]:
    """Give ``model`` the weights of a safetensors file.

    Returns:
        The arrays of the file.

    Raises:
        WeightsError: the file is damaged, or its names or shapes are not the model's; then the
            model is as it was.
    """
    arrays = read_tensors(path)
    assign(model, arrays, source=str(path))
    return arrays


def assign(model: Any, arrays: Mapping[str, np.ndarray], source: str = "the weights") -> None:
    """Give ``model`` these weights, by name.

    Args:
        model: a built Keras model.
        arrays: one array for each weight.
        source: where they come from, for the message.

    Raises:
        WeightsError: a name is missing, unexpected or has another shape; nothing is changed.
    """
    named = weight_names(model)
    faults = misfits(
        {name: array.shape for name, array in arrays.items()},
        {name: variable.shape for name, variable in named.items()},
    )
    if faults:
        raise WeightsError(
            f"{source} does not fit the model: {'; '.join(faults)}.",
            "The weights belong to another configuration, or to another version of it.",
        )
    for name, variable in named.items():
        variable.assign(np.asarray(arrays[name]))


def file_metadata(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The metadata of our weights files: format, version, and ``more``, such as the preset."""
    return {"format": "hvae", "hvae_version": hvae_version(), **(more or {})}


def hvae_version() -> str:
    """The installed version of hvae, or "unknown" where it is not installed."""
    try:
        return importlib.metadata.version("hvae")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
