"""The orthonormal two-dimensional DCT-II, its lowest frequencies, and back."""

from __future__ import annotations

import math

import numpy as np
from keras import ops

from hvae_core.interfaces import Tensor


def basis(length: int, frequencies: int) -> np.ndarray:
    """The first rows [frequencies, length] of the orthonormal DCT-II's matrix, in float64."""
    n, k = np.arange(length), np.arange(frequencies)[:, None]
    waves = np.cos(math.pi * (n + 0.5) * k / length) * math.sqrt(2.0 / length)
    waves[0] = math.sqrt(1.0 / length)
    return waves


class CosineTransform:
    """Between images [B, H, W, C] and their lowest frequencies [B, size, size, C].

    Args:
        height: of an image.
        width: of an image.
        size: how many frequencies along each axis.
    """

    def __init__(self, height: int, width: int, size: int) -> None:
        self.rows, self.columns = basis(height, size), basis(width, size)

    def forward(self, image: Tensor) -> Tensor:
        """The coefficients of images; an array's in float64, a tensor's in float32."""
        if isinstance(image, np.ndarray):
            return np.einsum("kh,bhwc,lw->bklc", self.rows, image, self.columns, optimize=True)
        return apply(image, self.rows, self.columns)

    def inverse(self, coefficients: Tensor) -> Tensor:
        """The images that have these coefficients, and no others."""
        return apply(coefficients, self.rows.T, self.columns.T)


def apply(x: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """``sum_hw rows[k, h] x[b, h, w, c] columns[l, w]`` -> [B, k, l, C]."""
    (tall, height), wide, channels = rows.shape, len(columns), x.shape[-1]
    x = ops.matmul(ops.convert_to_tensor(columns.astype(np.float32)), x)
    x = ops.reshape(x, (-1, height, wide * channels))
    x = ops.matmul(ops.convert_to_tensor(rows.astype(np.float32)), x)
    return ops.reshape(x, (-1, tall, wide, channels))
