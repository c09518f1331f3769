"""What the encoder of a model that completes images sees of them."""

from __future__ import annotations

import numpy as np

from hvae_core.data.measuring import measure
from hvae_core.interfaces import Measurement


class Observation:
    """Measures images as they come; see `hvae_core.data.Batches`.

    Args:
        measurement: what is kept of an image.
        channels: of what the encoder sees: an image's, or one more, which the mask is.
    """

    def __init__(self, measurement: Measurement, channels: int) -> None:
        self.measurement, self.channels = measurement, channels

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Images [B, H, W, C] to float32 [B, H, W, C']."""
        parts = [measure(self.measurement, image, rng) for image in images]
        y, mask = np.stack([part.y for part in parts]), np.stack([part.mask for part in parts])
        return as_seen(y, mask, self.channels)


def as_seen(y: np.ndarray, mask: np.ndarray, channels: int) -> np.ndarray:
    """Measurements [B, H, W, C] and masks [B, H, W] as the encoder is given them, in float32."""
    seen = y.astype(np.float32)
    if channels == y.shape[-1]:
        return seen
    return np.concatenate([seen, mask[..., None].astype(np.float32)], axis=-1)
