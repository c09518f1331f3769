"""The discretized mixture of logistics (Salimans et al. 2017, PixelCNN++; VDVAE's likelihood).

Channels of the parameters, for M mixtures and C image channels: M mixture logits, then for each
channel c a group of 2M means and log scales, and M coefficients where C > 1; the coefficients
couple the channels: mean_2 += c0 x_1, mean_3 += c1 x_1 + c2 x_2. Values lie in [-1, 1].
"""

from __future__ import annotations

import math
from typing import NamedTuple

from keras import ops

from hvae_core.interfaces import Tensor

LOG_SCALE_FLOOR = -7.0
#: below this mass a bin's probability is taken as density times width
SMALL_MASS = 1e-5


class MixtureParameters(NamedTuple):
    """``logits`` [B,H,W,M]; ``means`` and ``log_scales`` [B,H,W,C,M]; ``coefficients`` too."""

    logits: Tensor
    means: Tensor
    log_scales: Tensor
    coefficients: Tensor | None


def parameter_count(mixtures: int, channels: int) -> int:
    """Parameters for each pixel: M(1 + 3C), or 3M for one channel, which has no coupling."""
    return mixtures * (1 + (3 if channels > 1 else 2) * channels)


def split(parameters: Tensor, mixtures: int, channels: int) -> MixtureParameters:
    """Name the channels of ``parameters`` [B, H, W, parameter_count]; float32."""
    parameters = ops.cast(parameters, "float32")
    logits = parameters[..., :mixtures]
    per_channel = 3 if channels > 1 else 2
    shape = (*ops.shape(parameters)[:-1], channels, per_channel * mixtures)
    rest = ops.reshape(parameters[..., mixtures:], shape)
    log_scales = ops.maximum(rest[..., mixtures : 2 * mixtures], LOG_SCALE_FLOOR)
    coefficients = ops.tanh(rest[..., 2 * mixtures :]) if channels > 1 else None
    return MixtureParameters(logits, rest[..., :mixtures], log_scales, coefficients)


def coupled_means(mixture: MixtureParameters, x: Tensor) -> Tensor:
    """The means given the channels before each: x [B,H,W,C] in [-1,1] -> [B,H,W,C,M].

    The three coefficients of a pixel stand in the slots of channels 1, 2, 3 in the order
    (1 -> 2), (1 -> 3), (2 -> 3).
    """
    if mixture.coefficients is None:
        return mixture.means
    x1, x2 = x[..., 0:1], x[..., 1:2]
    c12, c13, c23 = (mixture.coefficients[..., slot, :] for slot in range(3))
    first = mixture.means[..., 0, :]
    second = mixture.means[..., 1, :] + c12 * x1
    third = mixture.means[..., 2, :] + c13 * x1 + c23 * x2
    return ops.stack([first, second, third], axis=-2)


def log_bin_probability(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """Log P(bin of x) of a logistic, elementwise; the edge bins are open.

    ``x`` lies on the grid -1 + 2k / (levels - 1); a bin reaches half a step, 1 / (levels - 1),
    to either side. Where the mass is at most `SMALL_MASS` (float32 cancels) it is the density
    at the centre times the bin's width.
    """
    half_bin = 1.0 / (levels - 1)
    centred = x - mean
    inverse_scale = ops.exp(-log_scale)
    upper = inverse_scale * (centred + half_bin)
    lower = inverse_scale * (centred - half_bin)
    middle = inverse_scale * centred
    mass = ops.sigmoid(upper) - ops.sigmoid(lower)
    log_density = middle - log_scale - 2.0 * ops.softplus(middle)
    inner = ops.where(
        mass > SMALL_MASS,
        ops.log(ops.maximum(mass, 1e-12)),
        log_density + math.log(2.0 * half_bin),
    )
    edge = 1.0 - 0.5 * half_bin
    below = upper - ops.softplus(upper)  # log sigmoid(upper)
    above = -ops.softplus(lower)  # log(1 - sigmoid(lower))
    return ops.where(x < -edge, below, ops.where(x > edge, above, inner))


def log_prob(x: Tensor, mixture: MixtureParameters, levels: int) -> Tensor:
    """Log P(x) of each pixel: x [B,H,W,C] on the grid in [-1,1] -> [B,H,W] in nats."""
    means = coupled_means(mixture, x)
    channels = log_bin_probability(x[..., None], means, mixture.log_scales, levels)
    joint = ops.sum(channels, axis=-2) + ops.log_softmax(mixture.logits, axis=-1)
    return ops.logsumexp(joint, axis=-1)


def sample(
    mixture: MixtureParameters, uniform: Tensor, temperature: float | Tensor = 1.0
) -> Tensor:
    """Draw x [B,H,W,C] in [-1,1], continuous.

    Args:
        mixture: the parameters.
        uniform: [B,H,W,M+C] uniform numbers: M choose the component (Gumbel-max), C the value.
        temperature: scales the logistic noise; 1 samples the model.
    """
    mixtures = ops.shape(mixture.logits)[-1]
    uniform = ops.clip(ops.cast(uniform, "float32"), 1e-5, 1.0 - 1e-5)
    gumbel = -ops.log(-ops.log(uniform[..., :mixtures]))
    chosen = ops.argmax(mixture.logits + gumbel, axis=-1)
    one_hot = ops.one_hot(chosen, mixtures, dtype="float32")[..., None, :]

    def pick(values: Tensor) -> Tensor:
        return ops.sum(values * one_hot, axis=-1)

    means, log_scales = pick(mixture.means), pick(mixture.log_scales)
    u = uniform[..., mixtures:]
    noise = temperature * ops.exp(log_scales) * (ops.log(u) - ops.log(1.0 - u))
    if mixture.coefficients is None:
        return ops.clip(means + noise, -1.0, 1.0)
    coefficients = pick(mixture.coefficients)
    # A channel is clipped before the next one is conditioned on it, as in the original.
    x1 = ops.clip(means[..., 0] + noise[..., 0], -1.0, 1.0)
    x2 = ops.clip(means[..., 1] + noise[..., 1] + coefficients[..., 0] * x1, -1.0, 1.0)
    mean3 = means[..., 2] + coefficients[..., 1] * x1 + coefficients[..., 2] * x2
    return ops.stack([x1, x2, ops.clip(mean3 + noise[..., 2], -1.0, 1.0)], axis=-1)


def mean(mixture: MixtureParameters) -> Tensor:
    """An approximation of E[x], [B,H,W,C] in [-1,1]: the mixture's means, clipped one by one.

    Exact but for the clipping at the edges and the discretization.
    """
    weights = ops.softmax(mixture.logits, axis=-1)[..., None, :]
    if mixture.coefficients is None:
        return ops.clip(ops.sum(weights * mixture.means, axis=-1), -1.0, 1.0)
    m1 = mixture.means[..., 0, :]
    c12, c13, c23 = (mixture.coefficients[..., slot, :] for slot in range(3))
    m2 = mixture.means[..., 1, :] + c12 * m1
    m3 = mixture.means[..., 2, :] + c13 * m1 + c23 * m2
    means = ops.stack([m1, m2, m3], axis=-2)
    return ops.clip(ops.sum(weights * means, axis=-1), -1.0, 1.0)
