"""Arrays to and from a safetensors file.

The reader takes every dtype of the format, bfloat16 included, without a backend. The writer orders
tensors and metadata, which the safetensors package does not promise for the metadata: equal
weights give an equal file, and so an equal sha256.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.errors import HvaeError, WeightsError
from hvae_core.weights.header import read_header

_NUMPY = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "F16": np.float16,
    "U32": np.uint32,
    "I32": np.int32,
    "F32": np.float32,
    "U64": np.uint64,
    "I64": np.int64,
    "F64": np.float64,
}
_CODES = {np.dtype(dtype): code for code, dtype in _NUMPY.items()}


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file; 16-bit floats come as float32.

    Raises:
        WeightsError: there is no such file, it is no safetensors file, or it is cut short.
    """
    path = Path(path)
    header = read_header(path)
    arrays = {}
    with path.open("rb") as file:
        for name, entry in header.tensors.items():
            file.seek(entry.offset)
            raw = file.read(entry.bytes)
            if entry.dtype == "BF16":
                bits = np.frombuffer(raw, "<u2").astype(np.uint32) << np.uint32(16)
                array = bits.view(np.float32)
            else:
                kind = np.dtype(_NUMPY[entry.dtype]).newbyteorder("<")
                array = np.frombuffer(raw, kind).astype(_widened(kind))
            arrays[name] = array.reshape(entry.shape)
    return arrays


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file.

    Raises:
        WeightsError: there is no such file, it is no safetensors file, or it is cut short.
    """
    return read_header(path).metadata


def write_tensors(
    arrays: Mapping[str, np.ndarray], path: str | Path, metadata: Mapping[str, str] | None = None
) -> Path:
    """Write arrays as a safetensors file, whole or not at all.

    Args:
        arrays: names to arrays of a plain NumPy dtype, or of ml_dtypes' bfloat16.
        path: the file; an older one is replaced when the new one is complete.
        metadata: strings to strings.

    Raises:
        WeightsError: an array has a dtype that the format lacks.
        HvaeError: the file cannot be written.
    """
    path = Path(path)
    header: dict[str, Any] = {}
    if metadata:
        header["__metadata__"] = {str(key): str(metadata[key]) for key in sorted(metadata)}
    plain = {}
    end = 0
    # wide elements first, so that each tensor is aligned
    for name in sorted(arrays, key=lambda key: (-arrays[key].dtype.itemsize, key)):
        code, array = _encoded(name, arrays[name])
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [begin, end]}
        plain[name] = array
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for array in plain.values():
            file.write(array.tobytes())
        file.flush()
        os.fsync(file.fileno())
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place if the block succeeds.

    Raises:
        HvaeError: it cannot be written; an older file is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise HvaeError(
            f"Cannot write {path}: {error.strerror or error}.",
            "Make room or choose another folder.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _widened(kind: np.dtype) -> np.dtype:
    native = kind.newbyteorder("=")
    return np.dtype(np.float32) if native == np.float16 else native


def _encoded(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    if array.dtype.name == "bfloat16":
        return "BF16", np.ascontiguousarray(array).view(np.uint16).reshape(array.shape)
    native = array.dtype.newbyteorder("=")
    if native not in _CODES:
        raise WeightsError(f"The array {name!r} has dtype {array.dtype}, which safetensors lacks.")
    return _CODES[native], array.astype(native.newbyteorder("<"), order="C", copy=False)
