"""Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598) of Gaussian priors.

Rows are a batch of B under its condition, and then the same B under the null one.
"""

from __future__ import annotations

from keras import ops

from hvae_core.interfaces import GaussianParameters, Tensor


def first_half(rows: Tensor) -> Tensor:
    """Of [2 B, ...] the first B, those under the condition."""
    return ops.reshape(rows, (2, -1, *rows.shape[1:]))[0]


def guided_mean(mean: Tensor, guidance: Tensor | float) -> Tensor:
    """``m_0 + g (m_c - m_0)`` of means [2 B, ...], in both halves."""
    under = ops.reshape(mean, (2, -1, *mean.shape[1:]))
    moved = under[1] + guidance * (under[0] - under[1])
    return ops.concatenate([moved, moved], axis=0)


def guided(p: GaussianParameters, guidance: Tensor | float) -> GaussianParameters:
    """The prior with the mean of `guided_mean` and the conditional one's standard deviation."""
    log_std = first_half(p.log_std)
    return GaussianParameters(
        guided_mean(p.mean, guidance), ops.concatenate([log_std, log_std], axis=0)
    )
