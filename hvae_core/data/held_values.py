"""What an array holds, in the words of a message."""

from __future__ import annotations

import numpy as np


def held_values(array: np.ndarray) -> str:
    """Type and range of the values, or how many are not finite."""
    if array.dtype.kind not in "iuf" or not array.size:
        return f"{array.dtype} values"
    missing = array.size - int(np.isfinite(array).sum())
    if missing:
        return f"{array.dtype} values of which {missing:,} of {array.size:,} are not finite"
    return f"{array.dtype} values from {array.min():.6g} to {array.max():.6g}"
