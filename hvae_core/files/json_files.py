"""What JSON can hold, and reading a file of it that somebody else may have written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hvae_core.errors import HvaeError

#: a configuration, or the figures of an evaluation, has some kilobytes
MAX_BYTES = 1 << 20


def read_object(
    path: Path, kind: type[HvaeError], hint: str = "", most: int = MAX_BYTES
) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
        path: the file.
        kind: of the error.
        hint: how to mend it.
        most: the bytes that such a file can have; of a larger one nothing more is read.

    Raises:
        HvaeError: of this kind: it cannot be read, is too large, is not valid, or
            holds something else.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise kind(f"Cannot read {path}: {error.strerror or error}.", hint) from error
    if len(raw) > most:
        raise kind(f"{path} has more than {most:,} bytes, too many for what it should hold.", hint)
    try:
        content = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise kind(f"{path} is not valid JSON.", hint) from error
    if not isinstance(content, dict):
        raise kind(f"{path} holds no keys; expected a JSON object.", hint)
    return content


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: arrays as lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy's, which need not be loaded
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
