"""Efficient-VDVAE's tensors and ours: names and layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hvae_core.config import Config
from hvae_core.config.per_scale import expand
from hvae_core.importing.tensor_pairs import TensorPair, to_ours


def from_original(
    tensors: Mapping[str, np.ndarray], config: Config, cells: Sequence[int] | None = None
) -> dict[str, np.ndarray]:
    """The original's tensors under our names and in our layouts.

    Args:
        tensors: its state dict.
        config: the network.
        cells: residual cells in a block of each level of the way up, finest first; None: one.

    Raises:
        WeightsError: a tensor is missing, unexpected or of another shape.
    """
    hint = "Give --config the file of hyper-parameters that belongs to it."
    return to_ours(tensors, tensor_pairs(config, cells), hint)


def tensor_pairs(config: Config, cells: Sequence[int] | None = None) -> list[TensorPair]:
    """All tensors of a network, with the original's shapes; arguments as `from_original`."""
    return [*_encoder(config, cells), *_decoder(config)]


def _convolution(
    original: str, name: str, side: int, inputs: int, outputs: int, rolled: int = 0
) -> Iterator[TensorPair]:
    shape = (outputs, inputs, side, side)
    yield TensorPair(f"{original}.weight", f"{name}.kernel", shape, "kernel", rolled)
    yield TensorPair(f"{original}.bias", f"{name}.bias", (outputs,), "vector", rolled)


class _Cell(NamedTuple):
    """What the cells of a level have in common."""

    side: int
    outer: int
    middle: int
    layers: int

    def pairs(
        self, original: str, name: str, inputs: int, outputs: int, rolled: int = 0
    ) -> Iterator[TensorPair]:
        """The tensors of a cell; between its convolutions the original counts activations."""
        kernels = [
            (self.outer, inputs, self.middle, 0),
            *[(self.side, self.middle, self.middle, 0)] * self.layers,
            (self.outer, self.middle, outputs, rolled),
        ]
        for index, kernel in enumerate(kernels):
            theirs, ours = f"{original}.convs.{2 * index + 1}", f"{name}.conv{index + 1}"
            yield from _convolution(theirs, ours, *kernel)


def _cell(config: Config, side: int, middle: int, layers: int) -> _Cell:
    is_pointwise = config.model.block_with_options.options.pointwise
    return _Cell(side, 1 if is_pointwise else side, middle, layers)


def _encoder(config: Config, cells: Sequence[int] | None) -> Iterator[TensorPair]:
    model, stages = config.model, config.model.stages
    yield from _convolution(
        "bottom_up.input_conv", "encoder.stem", model.first_kernel_size, model.image_channels,
        stages[0].width,
    )  # fmt: skip
    built = 0
    for level, stage in enumerate(stages):
        each = expand(1 if cells is None else list(cells), len(stages), "up_n_blocks")[level]
        cell = _cell(
            config, stage.encoder_kernel_size, stage.encoder_middle_width,
            stage.encoder_middle_layers,
        )  # fmt: skip
        last = f"bottom_up.levels_up_downsample.{level}"
        blocks = stage.encoder_blocks // each
        for place in range(stage.encoder_blocks):
            block, inner = divmod(place, each)
            prefix = last if block == blocks - 1 else f"bottom_up.levels_up.{level}.{block}"
            yield from cell.pairs(
                f"{prefix}.residual_block.{inner}", f"encoder.blocks.{built}",
                stage.width, stage.width,
            )  # fmt: skip
            built += 1
        yield from _convolution(
            f"{last}.skip_projection", f"encoder.skips.{stage.label}", 1, stage.width,
            stage.skip_width,
        )  # fmt: skip
        if level + 1 < len(stages) and stages[level + 1].size != stage.size:
            coarser = stages[level + 1]
            stride = stage.resolution // coarser.resolution
            name = f"encoder.transitions.{coarser.label}.projection"
            yield from _convolution(f"{last}.pool.ops.0", name, stride, stage.width, coarser.width)


def _decoder(config: Config) -> Iterator[TensorPair]:
    coarse_first = list(reversed(config.model.stages))
    side, width = coarse_first[0].resolution, coarse_first[0].decoder_width
    start = f"decoder.bias.{coarse_first[0].label}"
    yield TensorPair("top_down.trainable_h", start, (1, width, side, side), "map")
    built = 0
    for level, stage in enumerate(coarse_first):
        first = f"top_down.levels_down_upsample.{level}"
        width = stage.decoder_width
        if level and coarse_first[level - 1].size != stage.size:
            coarser = coarse_first[level - 1].decoder_width
            shape = (1, width, stage.resolution, stage.resolution)
            yield TensorPair(
                f"{first}.unpool.scale_bias", f"decoder.bias.{stage.label}", shape, "map"
            )
            name = f"decoder.transitions.{stage.label}.projection"
            yield from _convolution(f"{first}.unpool.ops.0", name, 1, coarser, width)
        cell = _cell(
            config, stage.decoder_kernel_size, stage.decoder_middle_width,
            stage.decoder_middle_layers,
        )  # fmt: skip
        for place in range(stage.decoder_blocks):
            theirs = first if place == 0 else f"top_down.levels_down.{level}.{place - 1}"
            ours = f"decoder.blocks.{built}"
            built += 1
            into = width + stage.skip_width
            yield from cell.pairs(f"{theirs}.posterior_net.0", f"{ours}.posterior", into, width)
            # The stream's part comes first there, and last here.
            yield from cell.pairs(f"{theirs}.prior_net.0", f"{ours}.prior", width, 2 * width, width)
            for inner in range(stage.residual_blocks):
                name = "residual" if stage.residual_blocks == 1 else f"residual.{inner}"
                yield from cell.pairs(
                    f"{theirs}.residual_block.{inner}", f"{ours}.{name}", width, width
                )
            latent = stage.latent_width
            for name in ("prior", "posterior"):
                head = f"{theirs}.{name}_layer.projection"
                yield from _convolution(head, f"{ours}.{name}_head", 1, width, 2 * latent)
            yield from _convolution(
                f"{theirs}.z_projection", f"{ours}.projection", 1, latent, width
            )
    side = config.model.readout.kernel_size or 1
    outputs = config.build_likelihood().parameters
    yield from _convolution("top_down.output_conv", "readout.out", side, width, outputs)
