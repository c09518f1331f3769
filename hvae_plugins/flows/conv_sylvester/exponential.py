"""The convolution exponential (Hoogeboom et al. 2020, section 3) and its norm's bound.

e^{-W} computed by a truncated series inverts the computed e^W only while the norm of W is small:
with 12 terms to 1e-10 at 0.9, but not at 3. Without a bound, training finds that error and the
log-determinant is no longer that of the map. `bounded` therefore always comes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.layers import convolve

#: the operator norm that `bounded` allows
NORM = 0.9
#: squarings of the Gram matrix: the bound on its norm is at most n^(1/64) too large
SQUARINGS = 4


def norm_bound(gram: Tensor) -> Tensor:
    """At least the largest singular value of A, and close, from ``gram`` [..., n, n] = A^T A.

    ``||(A^T A)^(2^p)||_F ^ (1 / 2^(p+1))``, the Schatten norm of order 2^(p+2), scaled at each
    squaring so that nothing overflows.
    """
    power = gram
    size = _frobenius(power)
    log_norm = ops.log(size)
    for _ in range(SQUARINGS):
        power = power / size[..., None, None]
        power = power @ power
        size = _frobenius(power)
        log_norm = 2.0 * log_norm + ops.log(size)
    return ops.exp(log_norm / 2.0 ** (SQUARINGS + 1))


def _frobenius(matrix: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(matrix * matrix, axis=(-2, -1)) + 1e-30)


def _gram(rows: Tensor) -> Tensor:
    """A A^T of A [..., m, n]."""
    return rows @ ops.swapaxes(rows, -1, -2)


def convolution_norm_bound(kernel: Tensor) -> Tensor:
    """At least the operator norm of the zero-padded convolution with ``kernel`` [h, w, C, C].

    The smaller of two bounds: sqrt(h w) times the norm of the best of four reshapes of the kernel
    (Singla and Feizi 2021, arXiv 1911.10258), and the sum of the norms of its taps.
    """
    height, width, channels, outputs = kernel.shape
    taps, factor = height * width, math.sqrt(height * width)
    flat = ops.reshape(kernel, (taps, channels, outputs))
    small = ops.concatenate(
        [
            _gram(flat),
            _gram(ops.reshape(ops.transpose(flat, (1, 0, 2)), (1, channels, taps * outputs))),
            _gram(ops.reshape(ops.transpose(flat, (2, 0, 1)), (1, outputs, taps * channels))),
        ],
        axis=0,
    )
    norms = norm_bound(small)
    bounds = [ops.sum(norms[:taps]), factor * norms[taps], factor * norms[taps + 1]]
    if taps > 1:
        # [h in, w out] and [w in, h out]
        across = ops.reshape(
            ops.transpose(kernel, (0, 2, 1, 3)), (1, height * channels, width * outputs)
        )
        along = ops.reshape(
            ops.transpose(kernel, (1, 2, 0, 3)), (1, width * channels, height * outputs)
        )
        norms = factor * norm_bound(_gram(ops.concatenate([across, along], axis=0)))
        bounds += [norms[0], norms[1]]
    return ops.min(ops.stack(bounds))


def quick_norm_bound(kernel: Tensor) -> Tensor:
    """A bound as `convolution_norm_bound`'s of ``kernel`` [h, w, in, out], from one reshape."""
    height, width, inputs, outputs = kernel.shape
    axes, rows = ((2, 0, 1, 3), inputs) if inputs <= outputs else ((3, 0, 1, 2), outputs)
    matrix = ops.reshape(ops.transpose(kernel, axes), (rows, -1))
    return math.sqrt(height * width) * norm_bound(_gram(matrix))


def bounded(
    kernel: Tensor,
    bound: Callable[[Tensor], Tensor] = convolution_norm_bound,
    most: float = NORM,
) -> Tensor:
    """``kernel`` scaled down, never up, so that its convolution's norm is at most ``most``."""
    # As the larger of both by a rectifier: a maximum would lose float64 on PyTorch.
    norm = most + ops.relu(bound(kernel) - most)
    return kernel * (most / norm)


def exponential(x: Tensor, kernel: Tensor, terms: int) -> Tensor:
    """``sum_i W^i x / i!`` up to i = ``terms``: e^W x, W the convolution with ``kernel``."""
    total = term = x
    for order in range(1, terms + 1):
        term = convolve(term, kernel / order)
        total = total + term
    return total
