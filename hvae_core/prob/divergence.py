"""The KL of diagonal Gaussians in NumPy, for what runs without Keras."""

from __future__ import annotations

import numpy as np


def array_kl(
    mean: np.ndarray, log_std: np.ndarray, prior_mean: np.ndarray, prior_log_std: np.ndarray
) -> np.ndarray:
    """KL(q || p) of arrays, elementwise in nats, as `hvae_core.prob.gaussian.kl_divergence`.

    Args:
        mean: q's.
        log_std: q's log standard deviation.
        prior_mean: p's.
        prior_log_std: p's.
    """
    difference = log_std - prior_log_std
    scaled = (mean - prior_mean) * np.exp(-prior_log_std)
    return 0.5 * (np.exp(2.0 * difference) + np.square(scaled) - 1.0) - difference
