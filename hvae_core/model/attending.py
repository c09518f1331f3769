"""The attention of one pass, between the decoder and the plugin."""

from __future__ import annotations

from collections.abc import Sequence

from hvae_core.config import StageConfig
from hvae_core.interfaces import Attention, Tensor


class Attending:
    """An attention and its state on the way down; without an attention it changes nothing.

    Args:
        attention: the model's, or None.
        features: the encoder's, finest scale first; None in a prior pass.
    """

    def __init__(
        self, attention: Attention | None, features: Sequence[Tensor] | None = None
    ) -> None:
        self._attention = attention
        self._state = None if attention is None else attention.start(features)
        self._layer = 0

    def enter(self, stage: StageConfig) -> None:
        """The way down reaches a scale."""
        if self._attention is not None:
            self._state = self._attention.resize(self._state, stage.index)

    def stream(self, x: Tensor) -> Tensor:
        """The residual stream as the next latent layer is given it."""
        if self._attention is None:
            return x
        return self._attention.read_prior(self._state, x, self._layer)

    def features(self, x: Tensor, features: Tensor) -> Tensor:
        """The encoder's features as the next latent layer's posterior is given them."""
        if self._attention is None:
            return features
        return self._attention.read_posterior(self._state, x, features, self._layer)

    def write(self, h: Tensor | None) -> None:
        """The layer is done; ``h`` is its prior's part in the stream, None where that ended."""
        if self._attention is not None and h is not None:
            self._state = self._attention.write(self._state, h, self._layer)
        self._layer += 1
