"""How near images are to the true ones, and whether draws are as uncertain as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_core.errors import MissingDependencyError
from hvae_core.interfaces import ImageValues

#: the highest `psnr` in dB, of images that are equal as well, so that means stay finite
HIGHEST_PSNR = 100.0
#: side of the window of `ssim` (Wang et al. 2004), where the images are no smaller
WINDOW = 7


def psnr(images: np.ndarray, truth: np.ndarray, values: ImageValues) -> np.ndarray:
    """Peak signal-to-noise ratio [...] in dB of images [..., H, W, C], at most `HIGHEST_PSNR`.

    Args:
        images: what is judged.
        truth: of a shape that broadcasts to theirs.
        values: its range is the peak.
    """
    difference = images.astype(np.float64) - truth.astype(np.float64)
    error = np.square(difference).mean(axis=(-3, -2, -1))
    with np.errstate(divide="ignore"):
        ratio = 20 * np.log10(values.high - values.low) - 10 * np.log10(error)
    return np.minimum(ratio, HIGHEST_PSNR)


def check_ssim() -> None:
    """Refuse to go on where `ssim` cannot be computed.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    try:
        import skimage.metrics  # noqa: F401
    except ImportError:
        raise MissingDependencyError.for_extra(
            "scikit-image", "metrics", "The structural similarity"
        ) from None


def ssim(images: np.ndarray, truth: np.ndarray, values: ImageValues) -> np.ndarray:
    """Structural similarity [B] (Wang et al. 2004) of images [B, H, W, C], by scikit-image.

    The window is 7 x 7, smaller where the images are.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    check_ssim()
    from skimage.metrics import structural_similarity

    side = min(WINDOW, *images.shape[1:3])
    window = side - 1 + side % 2
    pairs = zip(images.astype(np.float64), truth.astype(np.float64), strict=True)
    return np.array(
        [
            structural_similarity(
                a, b, win_size=window, data_range=values.high - values.low, channel_axis=-1
            )
            for a, b in pairs
        ]
    )


def ranks(draws: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where the truth lies among n draws of it: uniform in (0, 1) where they are of one law.

    Ties are broken at random (the randomised probability integral transform, Czado et al. 2009), so
    that it holds for pixels with few values, such as a black background.

    Args:
        draws: [n, ...].
        truth: [...].
        rng: of the ties.

    Returns:
        [...].
    """
    below = (draws < truth).sum(axis=0)
    equal = (draws == truth).sum(axis=0)
    place = below + rng.integers(0, equal + 1)
    return (place + rng.random(truth.shape)) / (len(draws) + 1)


def coverage(place: np.ndarray, levels: Sequence[float]) -> dict[str, Any]:
    """Part of the `ranks` in central intervals of these levels: the level, of calibrated draws."""
    from_middle = np.abs(place - 0.5)
    return {
        f"coverage_{round(100 * level)}": float((from_middle <= level / 2).mean())
        for level in levels
    }
