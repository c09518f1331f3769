"""The cell's layers."""

from __future__ import annotations

import keras
from keras import ops

from hvae_core.errors import ConfigError
from hvae_core.interfaces import Block, BlockShape, Tensor
from hvae_core.layers import DepthwiseConvolution, convolution
from hvae_plugins.blocks.nvae import NvaeConfig

#: fewest hidden channels of the squeeze-and-excitation
FEWEST = 4


class NvaeCell(Block, keras.layers.Layer):
    """``project a depthwise a expand (x)`` (Vahdat & Kautz 2020, figure 3a), a the activation.

    1x1 to the inner channels, a depthwise convolution, 1x1 to the channels out. A residual cell
    then weighs its channels by squeeze-and-excitation (Hu et al. 2018), and is added to the input
    times ``residual_scale``; a cell that gives a distribution's parameters has neither, as in the
    original a convolution gives them. There is no batch normalisation, whose statistics would tie
    the images of a batch to one another: without it an activation comes before the first
    convolution too, so that cells in a row do not multiply linear maps.

    Args:
        options: expansion, kernel size and the rest.
        shape: widths and resolution, see `hvae_core.interfaces.BlockShape`.
        name: the layer's name.
    """

    def __init__(self, options: NvaeConfig, shape: BlockShape, name: str) -> None:
        super().__init__(name=name)
        if shape.middle_layers != 2:
            raise ConfigError(
                "model.encoder_middle_layers and model.decoder_middle_layers are of bottlenecks; "
                "the block nvae has one depthwise convolution.",
                "Leave them at 2.",
            )
        self.shape = shape
        self.residual_scale = options.residual_scale
        self.activate = keras.activations.get(shape.activation)
        inner = shape.middle_width
        if options.expansion is not None:
            inner = round(shape.in_width * options.expansion)
        self.convolutions: list[keras.layers.Layer] = [
            convolution(inner, 1, name="expand"),
            DepthwiseConvolution(
                1 if shape.resolution <= 2 else options.kernel_size, name="depthwise"
            ),
            convolution(shape.out_width, 1, name="project", gain=shape.output_gain),
        ]
        self.gate: list[keras.layers.Layer] = []
        if options.squeeze and shape.residual:
            hidden = max(FEWEST, shape.out_width // options.squeeze)
            self.gate = [
                convolution(hidden, 1, name="squeeze"),
                convolution(shape.out_width, 1, name="excite"),
            ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        current = tuple(input_shape)
        for layer in self.convolutions:
            layer.build(current)
            current = layer.compute_output_shape(current)
        for layer in self.gate:
            layer.build(current)
            current = layer.compute_output_shape(current)

    def call(self, x: Tensor) -> Tensor:
        """[B, H, W, in_width] -> [B, H, W, out_width]."""
        h = x
        for layer in self.convolutions:
            h = layer(self.activate(h))
        if self.gate:
            squeeze, excite = self.gate
            mean = ops.mean(h, axis=(1, 2), keepdims=True)
            h = h * ops.sigmoid(excite(ops.relu(squeeze(mean))))
        return x + self.residual_scale * h if self.shape.residual else h
