"""One scale of a model: everything that is fixed there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise

from hvae_core.config.component import Component
from hvae_core.config.per_scale import at_scale, expand


@dataclasses.dataclass(frozen=True)
class StageConfig:
    """Everything that is fixed at one scale.

    ``pooling_block``: the decoder is given what enters the last encoder block, not its output.
    ``mixing_block``: the decoder block before which the coarser stream enters. ``size``: height and
    width of the feature maps; ``trained_size``: those of the weights' training, of which kernels
    and names are. ``label``: what names of layers call the scale, such as 32 or 24x16.
    ``width``, ``decoder_width``, ``skip_width``: channels on the way up, on the way down, and of
    the features that go across. ``kernel_size``: what the size asks for; those of the two ways may
    be others.
    """

    index: int
    size: tuple[int, int]
    trained_size: tuple[int, int]
    label: str
    width: int
    decoder_width: int
    skip_width: int
    encoder_middle_width: int
    decoder_middle_width: int
    latent_width: int
    encoder_blocks: int
    decoder_blocks: int
    mixing_block: int
    residual_blocks: int
    encoder_middle_layers: int
    decoder_middle_layers: int
    pooling_block: bool
    kernel_size: int
    encoder_kernel_size: int
    decoder_kernel_size: int
    learned_bias: bool
    flow: Component | None

    @property
    def resolution(self) -> int:
        """The shorter side, in training."""
        return min(self.trained_size)

    @property
    def positions(self) -> int:
        """Height times width."""
        return math.prod(self.size)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape [h, w, c] of each of this scale's latents."""
        return (*self.size, self.latent_width)

    @property
    def trained_latent_shape(self) -> tuple[int, int, int]:
        """The same in training."""
        return (*self.trained_size, self.latent_width)

    @property
    def alignment(self) -> int:
        """What the sides of the latents are multiples of, for the flow; where a tile may start."""
        if self.flow is None or not self.decoder_blocks or self.flow.spec.alignment is None:
            return 1
        return self.flow.spec.alignment(self.flow.options, self.trained_latent_shape)


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


def scale_label(sizes: Sequence[tuple[int, int]], index: int) -> str:
    """What names of layers call a scale: its size, with its number where several have that.

    Of 32, 32, 16 they are 32, 32_2 and 16.
    """
    number = list(sizes[: index + 1]).count(sizes[index])
    return size_label(sizes[index]) + (f"_{number}" if number > 1 else "")


def kernel_size(size: tuple[int, int], large_kernels: bool) -> int:
    """Side of the spatial kernels at a scale: 1 up to 2x2, else 3, larger from 128 if asked."""
    if max(size) <= 2:
        return 1
    resolution = min(size)
    if large_kernels and resolution >= 128:
        return {128: 5, 256: 7, 512: 11}.get(resolution, 13)
    return 3


def pairs(sizes: Sequence[int | tuple[int, int]]) -> list[tuple[int, int]]:
    """Sides of squares, or sizes, as height and width."""
    return [(size, size) if isinstance(size, int) else size for size in sizes]


def factors(sizes: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """By how much each size is smaller than the one before it, along height and along width."""
    return [(fine[0] / coarse[0], fine[1] / coarse[1]) for fine, coarse in pairwise(sizes)]


def step_of(stage: StageConfig, finest: StageConfig, patch_size: int) -> tuple[int, int]:
    """Height and width in pixels of one position of a scale."""
    (height, width), (rows, columns) = finest.size, stage.size
    return height // rows * patch_size, width // columns * patch_size


def multiples_of(stages: Sequence[StageConfig], patch_size: int) -> tuple[int, int]:
    """What height and width of an image are multiples of: positions of all scales, as flows need.

    Args:
        stages: finest first.
        patch_size: pixels a side of a position of the finest scale.
    """
    steps = [step_of(stages[-1], stages[0], patch_size)]
    for stage in stages:
        height, width = step_of(stage, stages[0], patch_size)
        steps.append((height * stage.alignment, width * stage.alignment))
    rows, columns = zip(*steps, strict=True)
    return math.lcm(*rows), math.lcm(*columns)


def pin_of(stages: Sequence[StageConfig], starts_from_zeros: bool, no_bias_above: int) -> str:
    """Why the weights are those of one size alone, as a clause; empty if they are of any."""
    biased = stages[:-1] if starts_from_zeros else stages
    for stage in biased:
        if stage.learned_bias:
            return (
                f"the scale {stage.label} starts from a learned bias of this size "
                f"(model.no_bias_above is {no_bias_above}; 0: no scale has one)"
            )
    for stage in stages:
        if 1 in stage.trained_size:
            return f"the scale {stage.label} has but one position along an axis"
    return ""
