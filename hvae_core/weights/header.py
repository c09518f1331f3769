"""Reading the header of a safetensors file, and knowing from it whether the file is whole.

Format: https://github.com/huggingface/safetensors#format (8 bytes little-endian header length, a
JSON header, then the tensors' bytes). It needs neither NumPy nor a backend.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

from hvae_core.errors import WeightsError

#: the format's own limit
MAX_HEADER_BYTES = 100_000_000
DTYPE_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}


@dataclasses.dataclass(frozen=True)
class TensorEntry:
    """One tensor of the file; ``offset`` is counted from the beginning of the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Length in bytes."""
        return self.count * DTYPE_BYTES[self.dtype]


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
    """Read and check the header of a safetensors file.

    Raises:
        WeightsError: there is no such file, it is no safetensors file, it is cut short, or its
            tensors overlap or leave gaps.
    """
    path = Path(path)
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            header_bytes = int.from_bytes(prefix, "little")
            if len(prefix) < 8 or header_bytes < 2 or header_bytes > MAX_HEADER_BYTES:
                raise _not_safetensors(path)
            text = file.read(header_bytes)
    except OSError as error:
        raise WeightsError(
            f"Cannot read the weights file {path}: {error.strerror or error}."
        ) from error
    if not text.startswith(b"{"):
        raise _not_safetensors(path)
    if len(text) < header_bytes:
        raise _truncated(path, length, 8 + header_bytes)
    try:
        raw = json.loads(text)
        metadata = {str(key): str(value) for key, value in raw.pop("__metadata__", {}).items()}
        entries = {name: _entry(entry, 8 + header_bytes) for name, entry in raw.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _not_safetensors(path) from error
    end = 8 + header_bytes
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].offset, item[1].bytes)):
        if entry.offset != end:
            raise WeightsError(
                f"The weights file {path} is damaged: the tensor {name!r} begins at byte "
                f"{entry.offset}, expected {end}; tensors may not overlap or leave gaps.",
                "Fetch or write it again.",
            )
        end += entry.bytes
    if length < end:
        raise _truncated(path, length, end)
    if length > end:
        raise WeightsError(
            f"The weights file {path} has {length - end} bytes after its last tensor.",
            "It was damaged; fetch or write it again.",
        )
    return Header(entries, metadata)


def copy_weights(source: str | Path, target: str | Path, **metadata: str) -> None:
    """Copy a safetensors file, its tensors byte for byte, with metadata added or replaced.

    Raises:
        WeightsError: ``source`` is damaged, see `read_header`.
    """
    read_header(source)
    with Path(source).open("rb") as file, Path(target).open("wb") as copy:
        raw = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        raw["__metadata__"] = {**raw.get("__metadata__", {}), **metadata}
        text = json.dumps(raw, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # the format's alignment
        copy.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(file, copy)


def _entry(raw: dict[str, Any], base: int) -> TensorEntry:
    begin, end = raw["data_offsets"]
    entry = TensorEntry(raw["dtype"], tuple(raw["shape"]), base + begin)
    sizes = (*entry.shape, begin)
    if any(type(size) is not int or size < 0 for size in sizes) or end - begin != entry.bytes:
        raise ValueError("the offsets do not fit the shape")
    return entry


def _not_safetensors(path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is not a safetensors file.",
        "Weights of other formats are brought in with: hvae import",
    )


def _truncated(path: Path, length: int, expected: int) -> WeightsError:
    return WeightsError(
        f"The weights file {path} is cut short: it has {length} bytes, expected {expected}.",
        "Fetch or write it again.",
    )
