"""The standard normal distribution function, its logarithm over intervals and its inverse.

Elementwise functions of float32 tensors, made of elementary operations, so that every backend and
every export computes the same.
"""

from __future__ import annotations

import math

from keras import ops

from hvae_core.interfaces import Tensor

LOG_2 = math.log(2.0)
LOG_2PI = math.log(2.0 * math.pi)
#: below half this many standard deviations a bin is the density at its middle, with corrections
NARROW = 0.1
# Press et al. 2007, Numerical Recipes, section 6.2: log(erfc(z) e^(z^2) / t), t = 1 / (1 + z / 2)
_ERFC = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806,
    0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277,
)  # fmt: skip
# Wichura 1988, algorithm AS 241, PPND7
_CENTRAL = (3.3871327179, 50.434271938, 159.29113202, 59.109374720)
_CENTRAL_BELOW = (1.0, 17.895169469, 78.757757664, 67.187563600)
_TAIL = (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103)
_TAIL_BELOW = (1.0, 0.73700164250, 0.12021132975)


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """``c_0 + c_1 x + ...`` by Horner's rule."""
    total: Tensor = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def log_erfc(z: Tensor) -> Tensor:
    """Log erfc(z) for z >= 0, to 2e-7."""
    t = 1.0 / (1.0 + 0.5 * z)
    return ops.log(t) - z * z + _polynomial(t, _ERFC)


def log_cdf(x: Tensor) -> Tensor:
    """Log P(X < x), also far out."""
    tail = log_erfc(ops.abs(x) * math.sqrt(0.5)) - LOG_2
    # Only where it is used: left, e^tail may be 1/2 and no more.
    return ops.where(x < 0.0, tail, ops.log1p(-ops.exp(tail)))


def log_interval(middle: Tensor, half: Tensor) -> Tensor:
    """Log P(middle - half < X < middle + half), without cancellation.

    A narrow interval's is the density at its middle times ``2 half``, times the mean of
    ``e^(-m t - t^2 / 2)`` over it, whose second factor is taken to the second order.
    """
    # The mirrored interval's probability is the same; the left tail has the logarithm to take.
    m = -ops.abs(middle)
    is_narrow = half < 0.5 * NARROW

    h = ops.where(is_narrow, half, ops.ones_like(half) * 0.5 * NARROW)
    c = ops.abs(m) * h
    is_small = c < 0.5
    small, large = ops.where(is_small, c, 0.5), ops.where(is_small, 0.5, c)
    s2 = small * small
    decay = ops.exp(-2.0 * large)
    log_tilt = ops.where(
        is_small,
        s2 * (1.0 / 6.0 + s2 * (-1.0 / 180.0 + s2 * (1.0 / 2835.0))),
        large + ops.log1p(-decay) - ops.log(2.0 * large),
    )
    spread = ops.where(
        is_small,
        (1.0 / 3.0 + s2 / 10.0 + s2 * s2 / 168.0) / (1.0 + s2 / 6.0 + s2 * s2 / 120.0),
        1.0 - 2.0 * (1.0 + decay) / ((1.0 - decay) * large) + 2.0 / (large * large),
    )
    narrow = -0.5 * (m * m + LOG_2PI) + ops.log(2.0 * h) + log_tilt
    narrow = narrow + ops.log1p(-0.5 * h * h * spread)

    wide = ops.where(is_narrow, ops.ones_like(half) * NARROW, half)
    above, below = log_cdf(m + wide), log_cdf(m - wide)
    gap = ops.maximum(above - below, 1e-3)
    return ops.where(is_narrow, narrow, above + ops.log1p(-ops.exp(-gap)))


def quantile(uniform: Tensor) -> Tensor:
    """The number below which a share ``uniform`` (0 to 1) of the distribution lies, to 1e-6.

    0 and 1 are taken for the numbers next to them in float32.
    """
    u = ops.clip(ops.cast(uniform, "float32"), 2.0**-25, 1.0 - 2.0**-24)
    q = u - 0.5
    is_central = ops.abs(q) <= 0.425
    r = 0.180625 - ops.where(is_central, q * q, 0.0)
    central = q * _polynomial(r, _CENTRAL) / _polynomial(r, _CENTRAL_BELOW)
    rest = ops.where(is_central, 0.05, ops.minimum(u, 1.0 - u))
    r = ops.sqrt(-ops.log(rest)) - 1.6
    tail = _polynomial(r, _TAIL) / _polynomial(r, _TAIL_BELOW)
    return ops.where(is_central, central, ops.sign(q) * tail)
