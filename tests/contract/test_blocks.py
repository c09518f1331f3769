from hvae_core.plugins.testing import BlockContract


class TestBottleneck(BlockContract):
    spec = "block.bottleneck"
