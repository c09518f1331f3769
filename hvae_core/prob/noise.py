"""The standard-normal numbers a pass uses: an argument, never drawn inside a layer.

Recorded numbers give the same pass on every backend; `hvae_core.prob.noise_streams` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from hvae_core.interfaces import Shape3, Tensor
from hvae_core.prob.noise_streams import split_layers


class Noise:
    """One array [B, h, w, c] for each latent layer, coarsest first.

    Args:
        layers: the arrays.
    """

    def __init__(self, layers: Sequence[Tensor]) -> None:
        self.layers = list(layers)

    @classmethod
    def from_flat(cls, flat: Tensor, shapes: Sequence[Shape3]) -> Noise:
        """Cut [B, N] into the layers' arrays, N being the sum of their sizes."""
        return cls(split_layers(flat, shapes))

    def __getitem__(self, index: int) -> Tensor:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def tiled(self, copies: int) -> Noise:
        """The same numbers for rows i, i + B, i + 2B...: a batch followed by its copies."""
        return Noise([ops.concatenate([layer] * copies, axis=0) for layer in self.layers])
