"""One scale of a model: everything that is fixed there."""

from __future__ import annotations

import dataclasses
import math

from hvae_core.config.component import Component
from hvae_core.config.per_scale import at_scale, expand


@dataclasses.dataclass(frozen=True)
class StageConfig:
    """Everything that is fixed at one scale.

    ``pooling_block``: the decoder is given what enters the last encoder block, not its output.
    ``mixing_block``: the decoder block before which the coarser stream enters. ``size``: height and
    width of the feature maps.
    """

    index: int
    size: tuple[int, int]
    width: int
    encoder_middle_width: int
    decoder_middle_width: int
    latent_width: int
    encoder_blocks: int
    decoder_blocks: int
    mixing_block: int
    pooling_block: bool
    kernel_size: int
    learned_bias: bool
    flow: Component | None

    @property
    def resolution(self) -> int:
        """The shorter side."""
        return min(self.size)

    @property
    def positions(self) -> int:
        """Height times width."""
        return math.prod(self.size)

    @property
    def label(self) -> str:
        """What names of layers call the scale: 32, or 24x16."""
        return size_label(self.size)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape [h, w, c] of each of this scale's latents."""
        return (*self.size, self.latent_width)


def flow_at(flow: Component | None, index: int, scales: int) -> Component | None:
    """The flow with its options at scale ``index``, None where it is off."""
    if flow is None or not expand(flow.scales, scales, "model.flow.scales")[index]:
        return None
    options = at_scale(flow.options, index, scales, "model.flow")
    enabled = flow.spec.enabled
    if enabled is not None and not enabled(options):
        return None
    return dataclasses.replace(flow, options=options)


def size_label(size: tuple[int, int]) -> str:
    """A size as names and messages have it: 32 for a square, else 24x16."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def kernel_size(size: tuple[int, int], large_kernels: bool) -> int:
    """Side of the spatial kernels at a scale: 1 up to 2x2, else 3, larger from 128 if asked."""
    if max(size) <= 2:
        return 1
    resolution = min(size)
    if large_kernels and resolution >= 128:
        return {128: 5, 256: 7, 512: 11}.get(resolution, 13)
    return 3
