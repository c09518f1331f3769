"""The numbers of a variance-preserving diffusion in discrete steps (Kingma et al. 2021)."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Diffusion:
    """States ``z_k = alpha_k u + sigma_k eps``, k = 0 the noisiest, T the cleanest; float64.

    ``alpha`` and ``sigma`` are [T + 1]. ``q(z_k | z_{k-1}, u)`` has the mean ``from_state[k - 1]
    z_{k-1} + from_context[k - 1] u`` and the deviation ``std[k - 1]``, each [T]. ``mixing`` [T + 1,
    T + 1]: with noise eps_k for each state, drawn from that one to the next, ``z_k = alpha_k u +
    sum_j mixing[k, j] eps_j``.
    """

    alpha: np.ndarray
    sigma: np.ndarray
    from_state: np.ndarray
    from_context: np.ndarray
    std: np.ndarray
    mixing: np.ndarray

    @classmethod
    def linear(cls, steps: int, log_snr_min: float, log_snr_max: float) -> Diffusion:
        """The logarithm of the signal-to-noise ratio rises evenly."""
        log_snr = np.linspace(log_snr_min, log_snr_max, steps + 1)
        variance = 1.0 / (1.0 + np.exp(log_snr))
        alpha, sigma = np.sqrt(1.0 - variance), np.sqrt(variance)
        # What of a state's variance is new since the next, cleaner one.
        new = -np.expm1(log_snr[:-1] - log_snr[1:])
        from_state = alpha[:-1] / alpha[1:] * variance[1:] / variance[:-1]
        from_context, std = alpha[1:] * new, sigma[1:] * np.sqrt(new)
        mixing = np.zeros((steps + 1, steps + 1))
        mixing[0, 0] = sigma[0]
        for k in range(1, steps + 1):
            mixing[k] = from_state[k - 1] * mixing[k - 1]
            mixing[k, k] = std[k - 1]
        return cls(alpha, sigma, from_state, from_context, std, mixing)
