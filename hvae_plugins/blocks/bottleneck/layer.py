"""The bottleneck block's layer."""

from __future__ import annotations

import keras

from hvae_core.interfaces import Block, BlockShape, Tensor
from hvae_core.layers import DepthwiseConvolution, convolution
from hvae_plugins.blocks.bottleneck import BottleneckConfig

GROUPS = 8
#: the depthwise kernel, and the side from which it is used
DEPTHWISE_KERNEL, DEPTHWISE_FROM = 5, 8


class Bottleneck(Block, keras.layers.Layer):
    """``c4 a c3 a c2 a c1 a (x)``, plus x if residual (Child 2020, figure 3).

    There may be any number of convolutions between c1 and the last, which are 1x1, or with
    ``pointwise: false`` as large as the others. With ``conv: depthwise5`` c2 and c3 are 5x5
    depthwise convolutions from 8x8 on and 1x1 convolutions below; with ``depthwise5-once`` one such
    convolution takes the place of both.
    With ``norm: group`` each activation is preceded by a group normalisation with 8 groups.

    Args:
        options: norm and kind of convolution.
        shape: widths and kernel size, see `hvae_core.interfaces.BlockShape`.
        name: the layer's name.
    """

    def __init__(self, options: BottleneckConfig, shape: BlockShape, name: str) -> None:
        super().__init__(name=name)
        self.shape = shape
        self.activate = keras.activations.get(shape.activation)
        depthwise = options.conv != "dense"
        kernel, inner = shape.kernel_size, range(2, shape.middle_layers + 2)
        spatial: list[keras.layers.Layer]
        if depthwise and shape.resolution >= DEPTHWISE_FROM:
            spatial = [
                DepthwiseConvolution(DEPTHWISE_KERNEL, name=f"conv{i}")
                for i in ((2,) if options.conv == "depthwise5-once" else inner)
            ]
        else:
            side = 1 if depthwise else kernel
            spatial = [convolution(shape.middle_width, side, name=f"conv{i}") for i in inner]
        outer = 1 if options.pointwise else kernel
        last = f"conv{shape.middle_layers + 2}"
        self.convolutions = [
            convolution(shape.middle_width, outer, name="conv1"),
            *spatial,
            convolution(shape.out_width, outer, name=last, gain=shape.output_gain),
        ]
        self.norms = [
            keras.layers.GroupNormalization(GROUPS, axis=-1, name=f"norm{i + 1}")
            for i in range(len(self.convolutions) if options.norm == "group" else 0)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        current = tuple(input_shape)
        for index, layer in enumerate(self.convolutions):
            if self.norms:
                self.norms[index].build(current)
            layer.build(current)
            current = layer.compute_output_shape(current)

    def call(self, x: Tensor) -> Tensor:
        """[B, H, W, in_width] -> [B, H, W, out_width]."""
        h = x
        for index, layer in enumerate(self.convolutions):
            if self.norms:
                h = self.norms[index](h)
            h = layer(self.activate(h))
        return x + h if self.shape.residual else h
