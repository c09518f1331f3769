"""Densities of a location and a scale: log-densities and draws of Gauss, Laplace and Student's t.

Elementwise functions; densities in nats, all arithmetic float32. ``z`` is a value less its
location, divided by its scale; the logarithm of the scale is subtracted by who knows it.
"""

from __future__ import annotations

import math

from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.prob import normal


def gaussian_log_density(z: Tensor) -> Tensor:
    """Of the standard normal distribution."""
    return -0.5 * (ops.square(z) + normal.LOG_2PI)


def gaussian_draw(uniform: Tensor) -> Tensor:
    """From uniform numbers [..., C]."""
    return normal.quantile(uniform)


def laplace_log_density(z: Tensor) -> Tensor:
    """Of ``e^-|z| / 2``."""
    return -ops.abs(z) - normal.LOG_2


def laplace_draw(uniform: Tensor) -> Tensor:
    """From uniform numbers [..., C], by the inverse of the distribution function."""
    u = ops.clip(ops.cast(uniform, "float32"), 2.0**-25, 1.0 - 2.0**-24) - 0.5
    return -ops.sign(u) * ops.log1p(-2.0 * ops.abs(u))


def student_t_log_density(z: Tensor, degrees_of_freedom: float) -> Tensor:
    """Of Student's t distribution."""
    nu = degrees_of_freedom
    constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    return constant - 0.5 * (nu + 1) * ops.log1p(ops.square(z) / nu)


def student_t_draw(uniform: Tensor, degrees_of_freedom: float) -> Tensor:
    """From uniform numbers [..., 2 C] (Bailey 1994, Polar generation of random variates).

    Two numbers of 1/2 give 0.
    """
    half = uniform.shape[-1] // 2
    uniform = ops.cast(uniform, "float32")
    radius = ops.clip(uniform[..., :half], 2.0**-25, 1.0 - 2.0**-24)
    # u^(-2 / nu) - 1, for which a power and a difference would round.
    squared = degrees_of_freedom * ops.expm1(-2.0 / degrees_of_freedom * ops.log(radius))
    return ops.sqrt(squared) * -ops.sin(2.0 * math.pi * (uniform[..., half:]))
