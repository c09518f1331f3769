"""A file of named arrays: safetensors, read and written by its own library.

The library refuses what is cut short, overlaps, leaves gaps or does not fit its shape. Beside it
stand here what it lacks: limits before anything is allocated, sentences that say what to do, and
equal bytes for equal arrays, and so an equal sha256. No backend is needed, for bfloat16 neither.

Format: https://github.com/huggingface/safetensors#format (8 bytes little-endian header length, a
JSON header, then the tensors' bytes).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hvae_core.errors import HvaeError, WeightsError
from hvae_core.files import git_lfs
from hvae_core.files.foreign_numbers import is_whole
from hvae_core.files.replacing import disk_errors, replacing

#: some 100,000 tensors; the library reads ten times as much, which costs a gigabyte
MAX_HEADER_BYTES = 10_000_000
#: the most axes of an array
MAX_AXES = 32
#: the format's names of the dtypes that are read and written, and NumPy's
DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "F16": "float16",
    "BF16": "bfloat16",
    "U32": "uint32",
    "I32": "int32",
    "F32": "float32",
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
}


@dataclasses.dataclass(frozen=True)
class TensorEntry:
    """One tensor of the file: the format's name of its dtype, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Header:
    """The tensors of a file and its metadata."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]

    @property
    def parameters(self) -> int:
        """Number of elements of all tensors."""
        return sum(entry.count for entry in self.tensors.values())


def read_header(path: str | Path) -> Header:
    """Read the header of a safetensors file, and know from it that the file is whole.

    Raises:
        WeightsError: there is no such file, it is no safetensors file, it is cut short, its
            tensors overlap or leave gaps, or one has a dtype or shape that no weight has.
    """
    with _opened(Path(path)) as (_, header):
        return header


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file; errors as in `read_header`."""
    return read_header(path).metadata


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file; 16-bit floats come as float32.

    Raises:
        WeightsError: see `read_header`.
    """
    with _opened(Path(path)) as (file, header):
        if any(entry.dtype == "BF16" for entry in header.tensors.values()):
            import ml_dtypes  # noqa: F401  (tells NumPy of bfloat16, which the library asks it for)
        return {name: _widened(file.get_tensor(name)) for name in header.tensors}


def write_tensors(
    arrays: Mapping[str, np.ndarray], path: str | Path, metadata: Mapping[str, str] | None = None
) -> Path:
    """Write arrays as a safetensors file, whole or not at all; equal arrays make an equal file.

    Args:
        arrays: names to arrays of a plain NumPy dtype, or of ml_dtypes' bfloat16.
        path: the file; an older one is replaced when the new one is complete.
        metadata: strings to strings.

    Raises:
        WeightsError: an array has a dtype that the format lacks.
        HvaeError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    path = Path(path)
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    texts = {str(key): str(value) for key, value in (metadata or {}).items()}
    with disk_errors(f"write {path}"), replacing(path) as temporary:
        try:
            save_file(plain, temporary, texts or None)
        except SafetensorError as error:
            raise _write_error(path, error) from error
        if len(texts) > 1:
            _sort_metadata(temporary)
    return path


def copy_weights(source: str | Path, target: str | Path, **metadata: str) -> None:
    """Copy a safetensors file, its tensors byte for byte, with metadata added or replaced.

    Raises:
        WeightsError: ``source`` is damaged, see `read_header`.
        OSError: ``target`` cannot be written.
    """
    read_header(source)
    with Path(source).open("rb") as file, Path(target).open("wb") as copy:
        raw = _read_raw_header(file)
        raw["__metadata__"] = {**(raw.get("__metadata__") or {}), **metadata}
        _write_raw_header(copy, raw)
        shutil.copyfileobj(file, copy)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Header]]:
    """The library's view of a file, and its checked header.

    Raises:
        WeightsError: see `read_header`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER_BYTES:
            raise _not_safetensors(path)
        with safe_open(path, "numpy") as opened:
            tensors = {}
            # in the order of the file, so that it is read from its beginning to its end
            for name in getattr(opened, "offset_keys", opened.keys)():
                view = opened.get_slice(name)
                tensors[name] = TensorEntry(view.get_dtype(), tuple(view.get_shape()))
                _check_entry(path, name, tensors[name])
            yield opened, Header(tensors, opened.metadata() or {})
    except OSError as error:
        raise WeightsError(
            f"Cannot read the weights file {path}: {error.strerror or error}."
        ) from error
    except SafetensorError as error:
        raise _refusal(path, error) from error


def _check_entry(path: Path, name: str, entry: TensorEntry) -> None:
    """Refuse what the library lets through and NumPy or a model cannot hold."""
    if entry.dtype not in DTYPES:
        raise WeightsError(
            f"The tensor {name!r} of {path} has dtype {entry.dtype}, which no weight has."
        )
    # A size of zero hides the other sizes from the library: [0, 2**62, 2**62] has no bytes.
    size = math.prod(max(1, size) for size in entry.shape)
    if len(entry.shape) > MAX_AXES or size * 8 > sys.maxsize:
        raise WeightsError(
            f"The tensor {name!r} of {path} has {len(entry.shape)} axes and {size:.3g} elements, "
            "which no weight has.",
            "The file was damaged or made to do harm; fetch it again from where you trust it.",
        )


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.name in ("float16", "bfloat16") else array


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """The array as the library takes it: little-endian and contiguous, which it does not check."""
    array = np.asarray(array)
    native = array.dtype.newbyteorder("=")
    if native.name not in DTYPES.values():
        raise WeightsError(f"The array {name!r} has dtype {array.dtype}, which safetensors lacks.")
    return array.astype(native.newbyteorder("<"), order="C", copy=False)


def _write_error(path: Path, error: Exception) -> Exception:
    """What the library says of the disk, as the system's error where it tells the number."""
    if number := re.search(r"(?:os error|code:) (\d+)", str(error)):
        return OSError(int(number[1]), os.strerror(int(number[1])))
    return HvaeError(f"Cannot write {path}: {error}.")


def _sort_metadata(path: Path) -> None:
    """Bring the metadata of a file that was just written into its order.

    The library orders the tensors, by dtype and name, but takes the metadata as they come out of
    a hash map, in another order each time.
    """
    with path.open("rb+") as file:
        raw = _read_raw_header(file)
        end = file.tell()
        raw["__metadata__"] = dict(sorted(raw["__metadata__"].items()))
        file.seek(0)
        _write_raw_header(file, raw)
        if file.tell() != end:
            raise WeightsError(f"The header of {path} changed its length.", "Update safetensors.")


def _read_raw_header(file: BinaryIO) -> dict[str, Any]:
    """The JSON header of a file that the library has read or written."""
    return json.loads(file.read(int.from_bytes(file.read(8), "little")))


def _write_raw_header(file: BinaryIO, raw: Mapping[str, Any]) -> None:
    """Write it as the library does: UTF-8, without blanks, aligned to 8 bytes."""
    text = json.dumps(raw, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)


def _refusal(path: Path, error: Exception) -> WeightsError:
    """The library's refusal as a sentence that says what is wrong and what to do."""
    length = path.stat().st_size
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        text = file.read(header_bytes)
    if not text.startswith(b"{"):
        return _not_safetensors(path)
    if len(text) < header_bytes:
        return _truncated(path, length, 8 + header_bytes)
    try:
        raw = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in raw.items() if name != "__metadata__"]
        if not all(map(is_whole, ends)):
            return _not_safetensors(path)
        end = 8 + header_bytes + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return _not_safetensors(path)
    if length < end:
        return _truncated(path, length, end)
    if length > end:
        return WeightsError(
            f"The weights file {path} has {length - end} bytes after its last tensor.",
            "It was damaged; fetch or write it again.",
        )
    reason = str(error).rpartition("header: ")[2]
    return WeightsError(
        f"The weights file {path} is damaged: {reason}; tensors may not overlap or leave gaps, "
        "and must fit their shapes.",
        "Fetch or write it again.",
    )


def _not_safetensors(path: Path) -> WeightsError:
    if git_lfs.is_pointer(path):
        return WeightsError(f"{path} is no safetensors file: {git_lfs.FAULT}.", f"{git_lfs.HINT}.")
    return WeightsError(
        f"{path} is not a safetensors file.",
        "Weights of other formats are brought in with: hvae import",
    )


def _truncated(path: Path, length: int, expected: int) -> WeightsError:
    return WeightsError(
        f"The weights file {path} is cut short: it has {length} bytes, expected {expected}.",
        "Fetch or write it again.",
    )
