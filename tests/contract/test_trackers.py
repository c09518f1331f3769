"""Our trackers keep the contract of trackers, without a network."""

import pytest

from hvae_core.plugins.testing import TrackerContract


class TestTensorBoard(TrackerContract):
    pytest.importorskip("tensorboardX")
    spec = "tracker.tensorboard"
