"""The discretized mixture of logistics (Salimans et al. 2017, PixelCNN++; VDVAE's likelihood).

Channels of the parameters, for M mixtures and C image channels: M mixture logits, then for each
channel c a group of 2M means and log scales, and M coefficients where C = 3; the coefficients
couple the channels: mean_2 += c0 x_1, mean_3 += c1 x_1 + c2 x_2. For other C > 1, C (C - 1) / 2
groups of M coefficients stand after all channels, in the same order: 1 -> 2, 1 -> 3, 2 -> 3,
1 -> 4 and so on. Values lie in [-1, 1].
"""

from __future__ import annotations

import math
from typing import NamedTuple

from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.prob import gaussian, splitting

LOG_SCALE_FLOOR = -7.0
#: below this mass a bin's probability is taken as density times width
SMALL_MASS = 1e-5


class MixtureParameters(NamedTuple):
    """``logits`` [B,H,W,M]; ``means``, ``log_scales`` [B,H,W,C,M]; ``coefficients`` [B,H,W,P,M].

    P is the number of pairs of channels, C (C - 1) / 2, which is C for 3.
    """

    logits: Tensor
    means: Tensor
    log_scales: Tensor
    coefficients: Tensor | None


def parameter_count(mixtures: int, channels: int, coupling: bool = True) -> int:
    """Parameters for each pixel: M (1 + 2C), and with coupling M for each pair of channels."""
    pairs = channels * (channels - 1) // 2 if coupling else 0
    return mixtures * (1 + 2 * channels + pairs)


def split(
    parameters: Tensor,
    mixtures: int,
    channels: int,
    *,
    coupling: bool = True,
    gradient_smoothing: bool = False,
    floor: float = LOG_SCALE_FLOOR,
    beta: float | None = None,
) -> MixtureParameters:
    """Name the channels of ``parameters`` [B, H, W, parameter_count]; float32.

    Args:
        parameters: the readout.
        mixtures: M.
        channels: C.
        coupling: whether there are coefficients.
        gradient_smoothing: the scale is the softplus of its number v, softplus(beta v) / beta, and
            not the exponential, e^(beta v).
        floor: of the log scales; without smoothing of v.
        beta: ln 2 with smoothing and 1 without if None.
    """
    parameters = ops.cast(parameters, "float32")
    logits, rest = splitting.split_channels(parameters, [mixtures, parameters.shape[-1] - mixtures])
    leading = ops.shape(parameters)[:-1]
    has_pairs = coupling and channels > 1
    pairs = None
    if has_pairs and channels != 3:
        own = 2 * mixtures * channels
        count = channels * (channels - 1) // 2
        rest, pairs = splitting.split_channels(rest, [own, count * mixtures])
        pairs = ops.reshape(pairs, (*leading, count, mixtures))
    per_channel = 3 if has_pairs and channels == 3 else 2
    rest = ops.reshape(rest, (*leading, channels, per_channel * mixtures))
    means, log_scales, *others = splitting.split_channels(rest, [mixtures] * per_channel)
    if others:
        (pairs,) = others
    if gradient_smoothing:
        beta = math.log(2.0) if beta is None else beta
        log_scales = gaussian.log_softplus(beta * log_scales) - math.log(beta)
    log_scales = ops.maximum(log_scales, floor)
    if not gradient_smoothing and beta not in (None, 1.0):
        log_scales = beta * log_scales
    coefficients = None if pairs is None else ops.tanh(pairs)
    return MixtureParameters(logits, means, log_scales, coefficients)


def slot(before: int, channel: int) -> int:
    """Where the coefficient of a pair of channels stands, both counted from 0."""
    return channel * (channel - 1) // 2 + before


def coupled_means(mixture: MixtureParameters, x: Tensor) -> Tensor:
    """The means given the channels before each: x [B,H,W,C] in [-1,1] -> [B,H,W,C,M]."""
    if mixture.coefficients is None:
        return mixture.means
    means = splitting.unstack(mixture.means, axis=-2)
    coefficients = splitting.unstack(mixture.coefficients, axis=-2)
    for channel in range(len(means)):
        for before in range(channel):
            value = x[..., before : before + 1]
            means[channel] = means[channel] + coefficients[slot(before, channel)] * value
    return ops.stack(means, axis=-2)


def log_bin_probability(
    x: Tensor,
    mean: Tensor,
    log_scale: Tensor,
    levels: int,
    top: float = 1.0,
    density_factor: float = 1.0,
) -> Tensor:
    """Log P(bin of x) of a logistic, elementwise; the edge bins are open.

    ``x`` lies on the grid -1 + 2k / (levels - 1); a bin reaches half a step, 1 / (levels - 1),
    to either side. Where the mass is at most `SMALL_MASS` (float32 cancels) it is the density
    at the centre times the bin's width; of more than 256 levels, whose bins are narrow, it is taken
    in a form that cancels nowhere: ``(1 - e^-w) sigmoid(upper) sigmoid(-lower)`` for a width w.
    ``top`` is the highest level's place; ``density_factor`` times the log scale stands in that
    density, which is the logistic's with 1.
    """
    half_bin = 1.0 / (levels - 1)
    centred = x - mean
    inverse_scale = ops.exp(-log_scale)
    upper = inverse_scale * (centred + half_bin)
    lower = inverse_scale * (centred - half_bin)
    middle = inverse_scale * centred
    if levels > 256:
        width = 2.0 * half_bin * inverse_scale
        inner = ops.log(-ops.expm1(-width)) - ops.softplus(-upper) - ops.softplus(lower)
    else:
        mass = ops.sigmoid(upper) - ops.sigmoid(lower)
        log_density = middle - density_factor * log_scale - 2.0 * ops.softplus(middle)
        inner = ops.where(
            mass > SMALL_MASS,
            ops.log(ops.maximum(mass, 1e-12)),
            log_density + math.log(2.0 * half_bin),
        )
    edge = 1.0 - 0.5 * half_bin
    below = upper - ops.softplus(upper)  # log sigmoid(upper)
    above = -ops.softplus(lower)  # log(1 - sigmoid(lower))
    upper_edge = edge if top == 1.0 else top - 0.5 * half_bin
    return ops.where(x < -edge, below, ops.where(x > upper_edge, above, inner))


def log_prob(
    x: Tensor,
    mixture: MixtureParameters,
    levels: int,
    top: float = 1.0,
    density_factor: float = 1.0,
) -> Tensor:
    """Log P(x) of each pixel: x [B,H,W,C] on the grid in [-1,1] -> [B,H,W] in nats.

    ``top`` and ``density_factor``: see `log_bin_probability`.
    """
    means = coupled_means(mixture, x)
    channels = log_bin_probability(
        x[..., None], means, mixture.log_scales, levels, top, density_factor
    )
    joint = ops.sum(channels, axis=-2) + ops.log_softmax(mixture.logits, axis=-1)
    return ops.logsumexp(joint, axis=-1)


def sample(
    mixture: MixtureParameters,
    uniform: Tensor,
    temperature: float | Tensor = 1.0,
    top: float = 1.0,
) -> Tensor:
    """Draw x [B,H,W,C] in [-1,1], continuous.

    Args:
        mixture: the parameters.
        uniform: [B,H,W,M+C] uniform numbers: M choose the component (Gumbel-max), C the value.
        temperature: scales the logistic noise; 1 samples the model.
        top: the largest value.
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
        return ops.clip(means + noise, -1.0, top)
    coefficients = pick(mixture.coefficients)
    # A channel is clipped before the next one is conditioned on it, as in the original.
    drawn = [ops.clip(means[..., 0] + noise[..., 0], -1.0, top)]
    second = means[..., 1] + noise[..., 1] + coefficients[..., 0] * drawn[0]
    drawn.append(ops.clip(second, -1.0, top))
    for channel in range(2, means.shape[-1]):
        mean = means[..., channel]
        for before in range(channel):
            mean = mean + coefficients[..., slot(before, channel)] * drawn[before]
        drawn.append(ops.clip(mean + noise[..., channel], -1.0, top))
    return ops.stack(drawn, axis=-1)


def mean(mixture: MixtureParameters) -> Tensor:
    """An approximation of E[x], [B,H,W,C] in [-1,1]: the mixture's means, clipped one by one.

    Exact but for the clipping at the edges and the discretization.
    """
    weights = ops.softmax(mixture.logits, axis=-1)[..., None, :]
    if mixture.coefficients is None:
        return ops.clip(ops.sum(weights * mixture.means, axis=-1), -1.0, 1.0)
    expected = [mixture.means[..., 0, :]]
    for channel in range(1, mixture.means.shape[-2]):
        value = mixture.means[..., channel, :]
        for before in range(channel):
            coefficient = mixture.coefficients[..., slot(before, channel), :]
            value = value + coefficient * expected[before]
        expected.append(value)
    means = ops.stack(expected, axis=-2)
    return ops.clip(ops.sum(weights * means, axis=-1), -1.0, 1.0)
