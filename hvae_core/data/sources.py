"""Random access to images that lie in memory or in a memory-mapped file."""

from __future__ import annotations

import numpy as np

from hvae_core.interfaces import Shape3


class ArraySource:
    """The images of one array.

    Args:
        images: uint8 [N, H, W, C], in memory or memory-mapped.
    """

    def __init__(self, images: np.ndarray) -> None:
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(f"expected uint8 [N, H, W, C], got {images.dtype} {images.shape}")
        self.images = images
        self.shape: Shape3 = (images.shape[1], images.shape[2], images.shape[3])

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """The images at ``indices``, a copy: uint8 [len(indices), H, W, C]."""
        return np.array(self.images[np.asarray(indices, dtype=np.int64)])
