"""The contract of residual blocks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Block, BlockShape, Tensor
from hvae_core.layers import dtype_policy
from hvae_core.plugins.testing.layer import LayerContract

SHAPES = (
    BlockShape(resolution=8, in_width=8, middle_width=8, out_width=16),
    BlockShape(resolution=4, in_width=8, middle_width=8, out_width=8, residual=True),
    BlockShape(resolution=8, in_width=16, middle_width=16, out_width=16),
    BlockShape(
        resolution=1, in_width=4, middle_width=2, out_width=6, kernel_size=1, activation="gelu"
    ),
)


class BlockContract(LayerContract):
    """A block maps [B, H, W, in_width] to [B, H, W, out_width] and starts as its shape says.

    Attributes:
        shapes: the `BlockShape` to try.
    """

    kind = "block"
    shapes: ClassVar[Sequence[BlockShape]] = SHAPES

    def cases(self) -> Sequence[BlockShape]:
        """The shapes."""
        return self.shapes

    def make(self, config: dict[str, Any], case: BlockShape) -> Any:
        """A block, built as the hierarchy builds it."""
        block = self.component.build(self.options(config), case, name="block")
        block.build((None, case.resolution, case.resolution, case.in_width))
        return block

    def inputs(self, config: dict[str, Any], case: BlockShape) -> list[np.ndarray]:
        """A batch of features."""
        shape = (self.rows, case.resolution, case.resolution, case.in_width)
        return [np.random.default_rng(11).normal(size=shape).astype("f")]

    def apply(self, layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Call the block."""
        return (layer(*inputs),)

    def test_it_is_a_block_of_the_asked_shape(self, config: dict[str, Any], case: Any) -> None:
        """A `Block` and a Keras layer, with [B, H, W, out_width] out, in the input's dtype."""
        trial = self.trial(config, case)
        block, (output,) = trial.layer, trial.outputs
        assert isinstance(block, Block)
        assert isinstance(block, keras.layers.Layer)
        assert block.name == "block", "it must keep the name it is given"
        assert output.shape == (self.rows, case.resolution, case.resolution, case.out_width)
        assert output.dtype == np.float32
        assert np.isfinite(output).all()

    def test_gain_zero_gives_nothing_but_the_skip(self, config: dict[str, Any], case: Any) -> None:
        """With output_gain 0 a fresh block is zero, or the identity where it is residual."""
        shape = dataclasses.replace(case, output_gain=0.0)
        (array,) = self.inputs(config, shape)
        outputs = self.compute_at_once(self.make(config, shape), ops.convert_to_tensor(array))
        output = ops.convert_to_numpy(outputs[0])
        expected = array if shape.residual else np.zeros_like(output)
        np.testing.assert_allclose(output, expected, atol=1e-6)

    def test_it_computes_in_the_policy_s_precision(self, config: dict[str, Any], case: Any) -> None:
        """Under mixed_bfloat16 the output is bfloat16 and the weights stay float32."""
        with dtype_policy("mixed_bfloat16"):
            block = self.make(config, case)
        assert {str(variable.dtype) for variable in block.weights} == {"float32"}
        (array,) = self.inputs(config, case)
        (output,) = self.compute_at_once(block, ops.convert_to_tensor(array))
        assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
