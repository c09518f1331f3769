"""What the parts of the network are told of their place in it."""

from __future__ import annotations

from functools import partial
from typing import Any

from hvae_core.config import ModelConfig, StageConfig
from hvae_core.interfaces import BlockShape, HierarchyShape, ScaleShape


def block_shape(
    config: ModelConfig, stage: StageConfig, middle_width: int, out_width: int, **changes: object
) -> BlockShape:
    """What a block at ``stage`` is told; ``changes`` override fields of `BlockShape`."""
    values: dict[str, object] = {
        "resolution": stage.resolution,
        "in_width": stage.width,
        "middle_width": middle_width,
        "out_width": out_width,
        "kernel_size": stage.kernel_size,
        "activation": config.block_activation,
    }
    return BlockShape(**{**values, **changes})  # type: ignore[arg-type]


def build_block(config: ModelConfig, shape: BlockShape, name: str) -> Any:
    """The model's residual block, not built yet: a Keras layer."""
    return config.block_with_options.build(shape, name=name)


def hierarchy_shape(config: ModelConfig) -> HierarchyShape:
    """What a part that sees the whole hierarchy is told."""
    scales = tuple(
        ScaleShape(
            index=stage.index,
            resolution=stage.resolution,
            width=stage.width,
            middle_width=stage.decoder_middle_width,
            kernel_size=stage.kernel_size,
            latent_layers=stage.decoder_blocks,
        )
        for stage in config.stages
    )
    return HierarchyShape(scales, config.block_activation, partial(build_block, config))
