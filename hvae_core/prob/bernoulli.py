"""Bernoulli pixels given by logits."""

from __future__ import annotations

from keras import ops

from hvae_core.interfaces import Tensor


def log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """X log p + (1 - x) log(1 - p), elementwise in nats; x in {0, 1}, or a probability."""
    return x * logits - ops.softplus(logits)
