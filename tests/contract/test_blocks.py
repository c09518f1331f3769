import pytest

from hvae_core.interfaces import BlockShape
from hvae_core.plugins.testing import BlockContract

pytestmark = pytest.mark.every_backend


class TestBottleneck(BlockContract):
    spec = "block.bottleneck"


class TestBottleneckWithGroupNorm(BlockContract):
    spec = "block.bottleneck"
    configs = [{"norm": "group"}]  # noqa: RUF012 - as a third party writes it
    shapes = (BlockShape(resolution=8, in_width=16, middle_width=16, out_width=16),)


class TestNvae(BlockContract):
    spec = "block.nvae"
    configs = [{"expansion": 2}]  # noqa: RUF012 - as a third party writes it
    shapes = (
        BlockShape(resolution=4, in_width=8, middle_width=3, out_width=8, residual=True),
        BlockShape(resolution=4, in_width=8, middle_width=3, out_width=6),
    )


class TestBottleneckWithDepthwiseConvolutions(BlockContract):
    spec = "block.bottleneck"
    configs = [{"conv": "depthwise5"}]  # noqa: RUF012 - as a third party writes it
    shapes = (
        BlockShape(resolution=8, in_width=8, middle_width=4, out_width=8),
        BlockShape(resolution=4, in_width=4, middle_width=4, out_width=6),
    )
