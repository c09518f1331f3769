"""The convolution exponential (Hoogeboom et al. 2020, section 3) and its norm's bound.

e^{-W} computed by a truncated series inverts the computed e^W only while the norm of W is small:
with 12 terms to 1e-10 at 0.9, but not at 3. Without a bound, training finds that error and the
log-determinant is no longer that of the map. `bounded` therefore always comes first.
"""

from __future__ import annotations

import math

from keras import ops

from hvae_core.interfaces import Tensor

#: the operator norm that `bounded` allows
NORM = 0.9
#: squarings of the Gram matrix: the bound on its norm is at most n^(1/64) too large
SQUARINGS = 4


def norm_bound(matrix: Tensor) -> Tensor:
    """At least the largest singular value of ``matrix`` [..., m, n], and close: [...].

    ``||(A^T A)^(2^p)||_F ^ (1 / 2^(p+1))``, the Schatten norm of order 2^(p+2), scaled at each
    squaring so that nothing overflows.
    """
    tall = matrix.shape[-2] >= matrix.shape[-1]
    transposed = ops.swapaxes(matrix, -1, -2)
    power = transposed @ matrix if tall else matrix @ transposed
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


def convolution_norm_bound(kernel: Tensor) -> Tensor:
    """At least the operator norm of the zero-padded convolution with ``kernel`` [h, w, in, out].

    The smaller of two bounds: sqrt(h w) times the norm of the best of four reshapes of the kernel
    (Singla and Feizi 2021, arXiv 1911.10258), and the sum of the norms of its taps.
    """
    height, width, inputs, outputs = kernel.shape
    if height == width == 1:
        return norm_bound(ops.reshape(kernel, (inputs, outputs)))
    shapes = (
        ((0, 1, 2, 3), (height * width * inputs, outputs)),
        ((2, 0, 1, 3), (inputs, height * width * outputs)),
        ((0, 2, 1, 3), (height * inputs, width * outputs)),
        ((1, 2, 0, 3), (width * inputs, height * outputs)),
    )
    bounds = [
        math.sqrt(height * width) * norm_bound(ops.reshape(ops.transpose(kernel, axes), shape))
        for axes, shape in shapes
    ]
    taps = ops.reshape(kernel, (height * width, inputs, outputs))
    bounds.append(ops.sum(norm_bound(taps)))
    return ops.min(ops.stack(bounds))


def bounded(kernel: Tensor) -> Tensor:
    """``kernel`` scaled down, never up, so that its convolution's norm is at most `NORM`."""
    # As the larger of both by a rectifier: a maximum would lose float64 on PyTorch.
    norm = NORM + ops.relu(convolution_norm_bound(kernel) - NORM)
    return kernel * (NORM / norm)


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Zero-padded convolution of x [B, H, W, in] with ``kernel`` [h, w, in, out]."""
    if kernel.shape[0] == kernel.shape[1] == 1:
        _, height, width, channels = x.shape
        outputs = kernel.shape[-1]
        rows = ops.reshape(x, (-1, channels)) @ ops.reshape(kernel, (channels, outputs))
        return ops.reshape(rows, (-1, height, width, outputs))
    return ops.conv(x, kernel, padding="same", data_format="channels_last")


def exponential(x: Tensor, kernel: Tensor, terms: int) -> Tensor:
    """``sum_i W^i x / i!`` up to i = ``terms``: e^W x, W the convolution with ``kernel``."""
    total = term = x
    for order in range(1, terms + 1):
        term = convolve(term, kernel / order)
        total = total + term
    return total
