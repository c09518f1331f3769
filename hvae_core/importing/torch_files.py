"""Tensors in files that PyTorch wrote. No code in a file is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.errors import MissingDependencyError, WeightsError
from hvae_core.files import git_lfs
from hvae_core.files.replacing import disk_errors, replacing
from hvae_core.weights.tensors import read_tensors

#: what PyTorch's data-parallel wrapper writes before every name
WRAPPER = "module."


def read_state_dict(path: str | Path, section: str | None = None) -> dict[str, np.ndarray]:
    """The tensors of a state dict, float32, without the data-parallel wrapper's prefix.

    Args:
        path: a file of ``torch.save``, of any age and from any device, or a ``.safetensors`` file.
        section: where a training's whole state is in a file of ``torch.save``: the key of the state
            dict in it, beside which nothing is looked at.

    Raises:
        WeightsError: the file is missing, damaged, no state dict, or would run code.
        MissingDependencyError: PyTorch is needed and not installed.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        tensors: Mapping[str, Any] = read_tensors(path)
    else:
        tensors = _read_torch(path)
        if section is not None:
            tensors = _section(path, tensors, section)
    arrays = {}
    for name, value in tensors.items():
        array = value if isinstance(value, np.ndarray) else _as_array(path, name, value)
        if array.dtype.kind != "f":
            raise WeightsError(
                f"{path}: {name} holds {array.dtype} values, expected floating-point ones."
            )
        arrays[str(name)] = array.astype(np.float32, copy=False)
    if arrays and all(name.startswith(WRAPPER) for name in arrays):
        arrays = {name.removeprefix(WRAPPER): array for name, array in arrays.items()}
    return arrays


def write_state_dict(arrays: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """Write arrays as ``torch.save`` writes a state dict, or as safetensors by the suffix.

    Raises:
        MissingDependencyError: PyTorch is needed and not installed.
        HvaeError: the file cannot be written; an older one is as it was.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        from hvae_core.weights.tensors import write_tensors

        return write_tensors(arrays, path)
    torch = _torch("Writing a PyTorch file")
    # A copy each: an array may be a read-only view, which torch warns of.
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    with disk_errors(f"write {path}"), replacing(path) as temporary:
        torch.save(tensors, temporary)
    return path


def _torch(purpose: str) -> Any:
    try:
        import torch
    except ImportError:
        raise MissingDependencyError.for_extra("torch", "torch", purpose) from None
    return torch


def _read_torch(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise WeightsError(f"There is no file {path}.", "Give the checkpoint's path.")
    if git_lfs.is_pointer(path):
        raise WeightsError(f"{path} is no checkpoint: {git_lfs.FAULT}.", f"{git_lfs.HINT}.")
    torch = _torch("Reading a PyTorch checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:
        # torch.load has no list of what it raises on a bad file; what it is, is one thing:
        raise WeightsError(
            f"{path} is no PyTorch checkpoint of tensors alone, or it is damaged.",
            "Nothing in it was run. Download it again, or save its state_dict() alone.",
        ) from error
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{path} holds no state dict, a mapping of names to tensors.")
    return content


def _section(path: Path, content: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = content.get(section)
    if not isinstance(found, Mapping) or not found:
        keys = ", ".join(str(key)[:40] for key in list(content)[:8])
        raise WeightsError(f"{path} has no state dict {section!r}; it has: {keys}.")
    return found


def _as_array(path: Path, name: Any, value: Any) -> np.ndarray:
    import torch

    if not isinstance(value, torch.Tensor):
        raise WeightsError(
            f"{path}: {name!r} is no tensor; expected a state dict, names to tensors.",
            "Save the model's state_dict() alone.",
        )
    if kind := _unusual(value):
        raise WeightsError(
            f"{path}: {name!r} is a {kind} tensor; expected a plain one.",
            "Save the model's state_dict() as it was trained, converted to plain float32 tensors.",
        )
    size = value.numel() * value.element_size()
    if size > value.untyped_storage().nbytes():
        raise WeightsError(
            f"{path}: {name!r} of shape {str(list(value.shape))[:100]} repeats few values over "
            f"{size:,} bytes, which no weight does."
        )
    try:
        kept = torch.float32 if value.is_floating_point() else value.dtype
        return value.detach().to(kept).numpy()
    except Exception as error:  # torch has more kinds of tensors than it documents
        raise WeightsError(
            f"{path}: {name!r} of dtype {value.dtype} cannot be read: {error}."
        ) from error


def _unusual(tensor: Any) -> str:
    """How a tensor differs from a plain array of numbers, in a word; empty where it does not."""
    import torch

    if tensor.is_nested:
        return "nested"
    if tensor.layout is not torch.strided:
        return "sparse"
    if tensor.is_quantized:
        return "quantized"
    if tensor.device.type != "cpu":
        return f"valueless ({tensor.device.type})"
    return ""
