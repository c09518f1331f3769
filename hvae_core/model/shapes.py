"""What the parts of the network are told of their place in it."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import keras

from hvae_core.config import ModelConfig, StageConfig
from hvae_core.interfaces import Activation, BlockShape, HierarchyShape, ScaleShape

#: of Keras's activation leaky_relu
KERAS_SLOPE = 0.2


def activation(name: str, config: ModelConfig) -> Activation:
    """An activation as the parts of the network are told it: for ``keras.activations.get``.

    It is its name, and where the configuration changes something about it the function.
    """
    if name == "leaky_relu" and config.leaky_relu_slope != KERAS_SLOPE:
        return partial(keras.activations.leaky_relu, negative_slope=config.leaky_relu_slope)
    return name


def block_shape(
    config: ModelConfig, stage: StageConfig, middle_width: int, out_width: int, **changes: object
) -> BlockShape:
    """What a block at ``stage`` is told; ``changes`` override fields of `BlockShape`."""
    values: dict[str, object] = {
        "resolution": stage.resolution,
        "size": stage.size,
        "in_width": stage.width,
        "middle_width": middle_width,
        "out_width": out_width,
        "kernel_size": stage.kernel_size,
        "activation": activation(config.block_activation, config),
    }
    return BlockShape(**{**values, **changes})  # type: ignore[arg-type]


def build_block(config: ModelConfig, shape: BlockShape, name: str) -> Any:
    """The model's residual block, not built yet: a Keras layer."""
    for stage in config.stages:
        if shape.size == stage.size:  # asked for by a part that knows the size alone
            shape = dataclasses.replace(shape, resolution=stage.resolution)
    return config.block_with_options.build(shape, name=name)


def hierarchy_shape(config: ModelConfig) -> HierarchyShape:
    """What a part that sees the whole hierarchy is told."""
    scales = tuple(
        ScaleShape(
            index=stage.index,
            resolution=min(stage.size),
            width=stage.decoder_width,
            middle_width=stage.decoder_middle_width,
            kernel_size=stage.decoder_kernel_size,
            latent_layers=stage.decoder_blocks,
            size=stage.size,
            trained_size=stage.trained_size,
        )
        for stage in config.stages
    )
    inside = activation(config.block_activation, config)
    return HierarchyShape(scales, inside, partial(build_block, config))
