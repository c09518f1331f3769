"""What to measure next, by the draws of the images that fit what was measured.

Penninga et al. 2025 (arXiv 2501.03825) choose the scan lines of an ultrasound probe so.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import check_count
from hvae_core.inference.completion import posterior_sample
from hvae_core.inference.engine import Engine
from hvae_core.inference.measurement_checks import check_boolean, check_measured

#: noise of a measurement, in ranges of the values
DEFAULT_NOISE = 0.01


def information_gain(
    engine: Engine,
    y: Any,
    mask: Any,
    candidates: Any,
    n: int = 16,
    seed: int = 0,
    *,
    noise: float | None = None,
    **options: Any,
) -> np.ndarray:
    """How much each further measurement is expected to tell, from the variance of the draws.

    The mutual information of the image and the candidate's unknown pixels measured with noise,
    were they Gaussian and independent: ``sum 1/2 log(1 + variance / noise^2)``. The candidate with
    the most is measured next (greedy entropy, Penninga et al. 2025).

    Args:
        engine: runs the model.
        y: what was measured so far [B, H, W, C].
        mask: [B, H, W] or [H, W]: true where a pixel was measured.
        candidates: K measurements: masks [K, H, W], or numbers of columns [K].
        n: draws of each image.
        seed: of the draws.
        noise: standard deviation of a measurement's noise in native values; None: a hundredth of
            the values' range.
        options: further arguments of `posterior_sample`.

    Returns:
        [B, K] in nats.

    Raises:
        BadInputError: the measurement, the candidates or an argument does not fit the model.
    """
    shown = _check_candidates(engine, candidates)
    values = engine.image_values
    std = _check_noise(DEFAULT_NOISE * (values.high - values.low) if noise is None else noise)
    if check_count(n, "n", 2) and options.get("keep_known"):
        options = {**options, "keep_known": False}  # they tell nothing either way
    known = check_measured(engine, y, mask, options.get("fill"))[1]
    draws = posterior_sample(engine, y, mask, n, seed=seed, **options)
    told = 0.5 * np.log1p(np.square(draws.std.astype(np.float64) / std)).sum(axis=-1)
    return np.einsum("bhw,khw->bk", told * ~known, shown).astype(np.float32)


def _check_noise(noise: Any) -> float:
    """A standard deviation."""
    try:
        std = float(noise)
    except (TypeError, ValueError):
        std = math.nan
    if not 0 < std < math.inf:
        raise BadInputError(f"noise is {noise!r}; it must be a number above 0.")
    return std


def _check_candidates(engine: Engine, candidates: Any) -> np.ndarray:
    """Masks [K, H, W] as numbers, from masks or numbers of columns."""
    array = np.asarray(candidates)
    height, width, _ = engine.image_shape
    if array.ndim == 1 and array.size and array.dtype.kind in "iu":
        if array.min() < 0 or array.max() >= width:
            wrong = array[(array < 0) | (array >= width)][0]
            raise BadInputError(
                f"candidates name column {wrong}; the images have {width}, from 0 to {width - 1}."
            )
        return np.broadcast_to(
            (array[:, None] == np.arange(width))[:, None, :], (len(array), height, width)
        ).astype(np.float64)
    if array.ndim != 3 or array.shape[1:] != (height, width) or not len(array):
        raise BadInputError(
            f"candidates have shape {list(array.shape)}; expected masks [K, {height}, {width}], or "
            "numbers of columns [K]."
        )
    return check_boolean(array, "candidates").astype(np.float64)
