"""A model's weights by name: to and from a file, checked as a whole before anything is changed.

Importing this module imports no Keras; the model is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.errors import WeightsError
from hvae_core.files.versions import hvae_version
from hvae_core.weights.tensors import read_tensors, write_tensors

#: how many names an error lists
LISTED = 4

Shape = tuple[int, ...]


def weight_names(model: Any) -> dict[str, Any]:
    """The model's weights by name, in the model's order.

    A name is the Keras variable's path without the model's own name, with dots:
    ``hvae/decoder/blocks-3/prior/kernel`` is ``decoder.blocks.3.prior.kernel``. Seed generators and
    metrics are left out.

    Args:
        model: a built `keras.Model` or layer.

    Returns:
        Names to `keras.Variable`.

    Raises:
        WeightsError: the model has no weights yet, or two weights have one name.
    """
    named: dict[str, Any] = {}
    for variable in model.weights:
        first, _, rest = variable.path.partition("/")
        path = rest if rest and first == model.name else variable.path
        name = dotted(path)
        if name in named:
            raise WeightsError(
                f"Two weights of the model {model.name!r} are both named {name!r}.",
                "Give each of its layers an explicit name= that no sibling has.",
            )
        named[name] = variable
    if not named:
        raise WeightsError(
            f"The model {model.name!r} has no weights yet.", "Build it before saving or loading."
        )
    return named


def dotted(path: str) -> str:
    """A Keras variable's path as the name of a weight."""
    # Torch forbids a dot in a name, so numbered layers are called "blocks-3".
    return path.replace("/", ".").replace("-", ".")


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


def load_weights(
    model: Any, path: str | Path, *, allow_nonfinite: bool = False
) -> dict[str, np.ndarray]:
    """Give ``model`` the weights of a safetensors file.

    Args:
        model: a built Keras model.
        path: the file.
        allow_nonfinite: take weights that are NaN or infinite too, to look into them.

    Returns:
        The arrays of the file.

    Raises:
        WeightsError: the file is damaged, its names, shapes or kinds of numbers are not the
            model's, or some are not finite; then the model is as it was.
    """
    arrays = read_tensors(path)
    if not allow_nonfinite:
        check_finite(arrays, str(path))
    assign(model, arrays, source=str(path))
    return arrays


def assign(model: Any, arrays: Mapping[str, np.ndarray], source: str = "the weights") -> None:
    """Give ``model`` these weights, by name.

    Args:
        model: a built Keras model.
        arrays: one array for each weight.
        source: where they come from, for the message.

    Raises:
        WeightsError: a name is missing, unexpected, has another shape or holds numbers of another
            kind (integers or booleans for floats, or the reverse); nothing is changed.
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
    wrong = [
        f"{name} {arrays[name].dtype}, expected {variable.dtype}"
        for name, variable in named.items()
        if _is_floating(arrays[name].dtype) != _is_floating(variable.dtype)
    ]
    if wrong:
        raise WeightsError(
            f"{source} does not fit the model: {_count(len(wrong), '')} of another kind of numbers "
            f"({listed(wrong)}).",
            "The weights were converted, quantized or damaged; get those that were trained.",
        )
    for name, variable in named.items():
        variable.assign(np.asarray(arrays[name]))


def check_finite(arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Refuse weights that no model can compute with.

    Args:
        arrays: by name.
        source: where they come from, for the message.

    Raises:
        WeightsError: some are NaN or infinite.
    """
    wrong = [
        f"{name} {_count(int(bad), '')} of {array.size}"
        for name, array in arrays.items()
        if _is_floating(array.dtype) and (bad := array.size - np.isfinite(array).sum())
    ]
    if wrong:
        raise WeightsError(
            f"{source} holds weights that are NaN or infinite ({listed(wrong)}).",
            "Its training diverged, or it is damaged. To look into them all the same: "
            "hvae.load(..., allow_nonfinite=True)",
        )


def _is_floating(dtype: Any) -> bool:
    """Whether a dtype of NumPy, of ml_dtypes or of Keras is one of floats."""
    return "float" in str(dtype)


def file_metadata(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The metadata of our weights files: format, version, and ``more``, such as the preset."""
    return {"format": "hvae", "hvae_version": hvae_version(), **(more or {})}


def listed(names: Sequence[str]) -> str:
    """The first names and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"


def misfits(
    found: Mapping[str, Sequence[int]], expected: Mapping[str, Sequence[int]], noun: str = ""
) -> list[str]:
    """What is missing, unexpected or of another shape; empty where all fits.

    Args:
        found: shapes by name.
        expected: shapes by name.
        noun: what is counted, as in "2 tensors missing"; none for "2 missing".
    """
    shapes: list[tuple[str, Shape, Shape]] = [
        (name, tuple(found[name]), tuple(shape))
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    kinds = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": [
            f"{name} {list(shape)}, expected {list(wanted)}" for name, shape, wanted in shapes
        ],
    }
    return [
        f"{_count(len(names), noun)} {kind} ({listed(names)})"
        for kind, names in kinds.items()
        if names
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number > 1)}" if noun else str(number)
