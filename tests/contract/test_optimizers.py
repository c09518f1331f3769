"""Optimizers with a state of different kinds keep the contract; unit tests have all of them."""

import pytest

from hvae_core.plugins.testing import OptimizerContract

pytestmark = pytest.mark.every_backend


class TestAdamW(OptimizerContract):
    spec = "optimizer.adamw"


class TestMuon(OptimizerContract):
    spec = "optimizer.muon"


class TestAdafactor(OptimizerContract):
    spec = "optimizer.adafactor"
