"""Random numbers that belong to an image, drawn by NumPy. No Keras: exported models use them too.

Numbers drawn from a seed belong to an image's index, so that they do not depend on the size of
the batch it is in, nor on the backend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_core.interfaces import Shape3, Tensor


def split_layers(flat: Tensor, shapes: Sequence[Shape3]) -> list[Tensor]:
    """Cut [B, N], a tensor or a NumPy array, into the layers' arrays [B, h, w, c]."""
    if isinstance(flat, np.ndarray):
        reshape: Any = np.reshape
    else:
        from keras import ops

        reshape = ops.reshape
    layers, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        layers.append(reshape(flat[:, start : start + size], (-1, *shape)))
        start += size
    return layers


def total_size(shapes: Sequence[Shape3]) -> int:
    """Numbers that one image's pass uses."""
    return sum(math.prod(shape) for shape in shapes)


def draw_normal(shapes: Sequence[Shape3], count: int, seed: int, offset: int = 0) -> np.ndarray:
    """Standard-normal numbers [count, total_size(shapes)] for images offset, offset + 1, ...

    Row i depends on ``seed`` and ``offset + i`` alone, and is the same on every backend.
    """
    size = total_size(shapes)
    out = np.empty((count, size), np.float32)
    for row in range(count):
        key = np.random.SeedSequence([seed, 0, offset + row])
        np.random.Generator(np.random.SFC64(key)).standard_normal(dtype=np.float32, out=out[row])
    return out


def draw_uniform(shape: Sequence[int], count: int, seed: int, offset: int = 0) -> np.ndarray:
    """Uniform(0, 1) numbers [count, *shape], row by row as in `draw_normal`."""
    out = np.empty((count, *shape), np.float32)
    for row in range(count):
        key = np.random.SeedSequence([seed, 1, offset + row])
        np.random.Generator(np.random.SFC64(key)).random(dtype=np.float32, out=out[row])
    return out


def fold_seed(*numbers: int) -> int:
    """One 31-bit seed from several numbers, such as (seed, step)."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
