import pytest

from hvae_core.plugins.testing import BlockContract

pytestmark = pytest.mark.every_backend


class TestBottleneck(BlockContract):
    spec = "block.bottleneck"
