"""Our top priors keep the contract of top priors."""

import pytest

from hvae_core.plugins.testing import PriorContract

pytestmark = pytest.mark.every_backend


class TestDiffusionVampPrior(PriorContract):
    spec = "prior.diffusion-vampprior"
    image_shapes = ((2, 4, 3),)
    configs = ({"size": 2, "steps": 2, "width": 4, "blocks": 1},)
