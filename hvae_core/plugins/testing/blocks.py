"""What a residual block promises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hvae_core.interfaces import Block, BlockShape
from hvae_core.plugins.testing import numerics, weighted
from hvae_core.plugins.testing.base import ComponentContract

BATCH = 2


class Shape(BlockShape):
    """A `BlockShape` with a short name for the test's id."""

    def __str__(self) -> str:
        widths = f"{self.in_width}to{self.out_width}"
        return f"{self.resolution}px-{widths}-{self.norm}-{self.conv}"


class BlockContract(ComponentContract):
    """Tests of `hvae_core.interfaces.Block`.

    Attributes:
        block_shapes: what the hierarchy may ask for.
    """

    kind = "block"
    axes = {**ComponentContract.axes, "block_shape": "block_shapes"}
    block_shapes: ClassVar[Sequence[BlockShape]] = (
        Shape(resolution=4, in_width=8, middle_width=8, out_width=16),
        Shape(resolution=4, in_width=8, middle_width=8, out_width=8, residual=True),
        Shape(resolution=1, in_width=8, middle_width=8, out_width=5, kernel_size=1),
        Shape(resolution=4, in_width=8, middle_width=8, out_width=8, norm="group"),
        Shape(resolution=8, in_width=8, middle_width=8, out_width=8, conv="depthwise5"),
    )
    tolerance: ClassVar[float] = 1e-5

    def build(self, options: Any, block_shape: BlockShape, scale: float | None = 0.3) -> Any:
        """A block whose weights are drawn with ``scale``, or fresh if None."""
        block = self.component.build(options, block_shape, name="block")
        side = block_shape.resolution
        weighted.built(block, (side, side, block_shape.in_width))
        if scale is not None:
            numerics.randomise(block, scale)
        return block

    def inputs(self, block_shape: BlockShape) -> list[np.ndarray]:
        """A batch of features."""
        side = block_shape.resolution
        return [numerics.normal((BATCH, side, side, block_shape.in_width), seed=1)]

    def test_shapes_and_dtypes(self, options: Any, block_shape: BlockShape) -> None:
        """[B, H, W, in_width] -> [B, H, W, out_width]."""
        block = self.build(options, block_shape)
        assert isinstance(block, Block)
        (y,) = weighted.run(block, self.inputs(block_shape))
        side = block_shape.resolution
        assert y.shape == (BATCH, side, side, block_shape.out_width)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()

    def test_an_output_gain_of_zero_starts_at_zero(
        self, options: Any, block_shape: BlockShape
    ) -> None:
        """A fresh prior is N(0, 1), and a fresh residual block the identity."""
        values = {f: getattr(block_shape, f) for f in BlockShape.__dataclass_fields__}
        shape = BlockShape(**{**values, "output_gain": 0.0})
        (x,) = self.inputs(shape)
        (y,) = weighted.run(self.build(options, shape, scale=None), [x])
        np.testing.assert_allclose(y, x if shape.residual else np.zeros_like(y), atol=1e-6)

    def test_a_gradient_reaches_every_weight(self, options: Any, block_shape: BlockShape) -> None:
        """And the features."""
        weighted.check_gradients(self.build(options, block_shape), self.inputs(block_shape))

    def test_rows_are_independent(self, options: Any, block_shape: BlockShape) -> None:
        """A batch of any size, no row of which touches another."""
        block = self.build(options, block_shape)
        weighted.check_rows(block, self.inputs(block_shape), self.tolerance)

    def test_a_call_changes_nothing(self, options: Any, block_shape: BlockShape) -> None:
        """Neither inputs nor weights; the second call equals the first."""
        weighted.check_purity(self.build(options, block_shape), self.inputs(block_shape))

    def test_compiled_equals_eager(self, options: Any, block_shape: BlockShape) -> None:
        """On JAX and TensorFlow; with an unknown batch size on the latter."""
        block = self.build(options, block_shape)
        weighted.check_compiled(block, self.inputs(block_shape), self.tolerance)

    def test_weights_have_the_same_names_when_built_twice(
        self, options: Any, block_shape: BlockShape
    ) -> None:
        """Automatic names count upwards within a process and would not fit a file."""
        weighted.check_same_names(
            self.build(options, block_shape), self.build(options, block_shape)
        )

    def test_weights_go_through_a_file(
        self, options: Any, block_shape: BlockShape, tmp_path: Path
    ) -> None:
        """Saved, and read by another block of the same shape."""
        source = self.build(options, block_shape, 0.3)
        target = self.build(options, block_shape, None)
        weighted.check_round_trip(source, target, tmp_path, self.inputs(block_shape))
