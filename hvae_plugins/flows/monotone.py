"""The root of a monotone equation, by bisection, with its gradient."""

from __future__ import annotations

import keras
from keras import ops

from hvae_core.interfaces import Tensor

#: halvings of an interval of width 2, past which the precision has nothing to gain
BISECTIONS = {"float32": 30, "float64": 60}


def root(outer: Tensor, inner: Tensor, offset: Tensor, target: Tensor) -> Tensor:
    """The w with ``w + outer tanh(inner w + offset) = target``, which rises in w.

    All of one shape; ``outer inner`` is above -1.
    """
    # JAX has no gradient of a loop; the step after it has the right one.
    fixed = [ops.stop_gradient(value) for value in (outer, inner, offset, target)]

    def halve(_: Tensor, interval: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        low, high = interval
        middle = 0.5 * (low + high)
        above = middle + fixed[0] * ops.tanh(fixed[1] * middle + fixed[2]) > fixed[3]
        return ops.where(above, low, middle), ops.where(above, middle, high)

    start = (fixed[3] - ops.abs(fixed[0]), fixed[3] + ops.abs(fixed[0]))
    steps = BISECTIONS[keras.backend.standardize_dtype(target.dtype)]
    low, high = ops.fori_loop(0, steps, halve, start)
    w = 0.5 * (low + high)
    # One step of Newton's method: the last digits, and the implicit function's gradient.
    activation = ops.tanh(inner * w + offset)
    slope = ops.stop_gradient(1.0 + (1.0 - activation**2) * outer * inner)
    return w - (w + outer * activation - target) / slope
