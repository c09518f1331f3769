"""Diagonal Gaussians given by mean and log standard deviation. All arithmetic is float32.

Elementwise functions: shapes broadcast; sum over the event dimensions with `sum_event`.
"""

from __future__ import annotations

import math

from keras import ops

from hvae_core.interfaces import FlowOutput, GaussianParameters, Tensor
from hvae_core.prob import normal

#: the smallest log standard deviation of the softplus parametrisation (6e-6)
LOG_STD_FLOOR = -12.0


def sum_event(x: Tensor) -> Tensor:
    """Sum over all dimensions but the first: [B, ...] -> [B]."""
    return ops.sum(ops.reshape(x, (ops.shape(x)[0], -1)), axis=-1)


def kl_divergence(q: GaussianParameters, p: GaussianParameters) -> Tensor:
    """KL(q || p), elementwise in nats (Child 2020, section 3).

    The two squares are of ratios to p's standard deviation, so that neither variance is formed:
    small standard deviations do not underflow.
    """
    difference = q.log_std - p.log_std
    scaled_mean = (q.mean - p.mean) * ops.exp(-p.log_std)
    return 0.5 * (ops.exp(2.0 * difference) + ops.square(scaled_mean) - 1.0) - difference


def log_prob(x: Tensor, p: GaussianParameters) -> Tensor:
    """Log p(x), elementwise in nats."""
    return -0.5 * (ops.square((x - p.mean) * ops.exp(-p.log_std)) + normal.LOG_2PI) - p.log_std


def standard_log_prob(noise: Tensor, p: GaussianParameters) -> Tensor:
    """Log p(mean + std * noise), elementwise in nats, without the rounding of the difference."""
    return -0.5 * (ops.square(noise) + normal.LOG_2PI) - p.log_std


def draw(p: GaussianParameters, noise: Tensor) -> Tensor:
    """A sample by reparametrisation: mean + std * noise."""
    return p.mean + ops.exp(p.log_std) * noise


def flow_kl(
    q: GaussianParameters,
    p: GaussianParameters,
    noise: Tensor,
    start: Tensor,
    end: Tensor,
    log_det: Tensor,
) -> Tensor:
    """Estimate [B] of the KL in nats of a flow's posterior: ``log q(z_0) - log_det - log p(z_k)``.

    Its value is that one; its gradient is that of ``KL(q || p) + log p(z_0) - log p(z_k) -
    log_det``, which has the same mean, as ``E[log q(z_0) - log p(z_0)]`` is the analytic KL, and
    far less noise: none while the flow is the identity. With the plain estimate's gradient,
    training starts with collapsed posteriors.

    Args:
        q: the posterior before the flow.
        p: the prior.
        noise: what z_0 was drawn with.
        start: z_0.
        end: z_k, the flow's output.
        log_det: the flow's [B].
    """
    analytic = sum_event(kl_divergence(q, p))
    before = log_prob(start, p)
    estimate = analytic + sum_event(before - log_prob(end, p)) - log_det
    control = sum_event(standard_log_prob(noise, q) - before) - analytic
    return estimate + ops.stop_gradient(control)


def flow_divergence(
    q: GaussianParameters,
    c: GaussianParameters,
    noise: Tensor,
    log_det: Tensor,
    inverse: FlowOutput,
) -> Tensor:
    """Estimate [B] of the KL in nats between the densities that two flows f and g make of q and c.

    At q's draw z = f(u), v = g^-1(z) being its preimage under the other flow, it is ``KL(q || c) +
    log c(u) - log c(v) + log|det g'| - log|det f'|``. That has the mean of ``log q_f(z) - log
    c_g(z)``, as the first term is that of ``log q(u) - log c(u)``, and no noise where the two flows
    are one.

    Args:
        q: before f.
        c: before g.
        noise: what u was drawn with.
        log_det: f's at u [B].
        inverse: what `Flow.inverse` of g gives for z: v, and g's log_det there.
    """
    start = draw(q, noise)
    moved = log_prob(start, c) - log_prob(inverse.z, c)
    return sum_event(kl_divergence(q, c)) + sum_event(moved) + inverse.log_det - log_det


def log_softplus(x: Tensor) -> Tensor:
    """log(log(1 + exp(x))), stable in value and gradient for any x.

    Far left, softplus(x) = e^x - e^{2x}/2 + ..., so its logarithm is x - e^x / 2 + O(e^{2x}).
    """
    is_small = x < -8.0
    safe = ops.where(is_small, ops.zeros_like(x), x)
    series = ops.where(is_small, x, ops.zeros_like(x) - 8.0)
    return ops.where(is_small, series - 0.5 * ops.exp(series), ops.log(ops.softplus(safe)))


def smoothed_log_std(value: Tensor, beta: float) -> Tensor:
    """Log sigma for sigma = softplus(beta value) / beta (Hazami et al. 2022, gradient smoothing).

    With beta = ln 2, value 0 gives sigma 1. Floored at `LOG_STD_FLOOR`.
    """
    return ops.maximum(log_softplus(beta * value) - math.log(beta), LOG_STD_FLOOR)


def parameters(
    mean: Tensor, value: Tensor, parametrisation: str, beta: float
) -> GaussianParameters:
    """A Gaussian from a network's two outputs, cast to float32.

    Args:
        mean: the mean.
        value: what the log standard deviation is made of.
        parametrisation: ``"exp"`` (value is the log standard deviation), ``"scaled-exp"`` (``beta``
            times it is) or ``"softplus"``.
        beta: of the softplus, or that factor.
    """
    mean = ops.cast(mean, "float32")
    value = ops.cast(value, "float32")
    if parametrisation == "softplus":
        log_std = smoothed_log_std(value, beta)
    else:
        log_std = value if parametrisation == "exp" else beta * value
    return GaussianParameters(mean, log_std)
