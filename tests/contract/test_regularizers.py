"""Our regularizer keeps the contract of regularizers."""

import pytest

from hvae_core.plugins.testing import RegularizerContract
from hvae_plugins.regularizers import cr_vae

pytestmark = pytest.mark.every_backend


class TestCrVae(RegularizerContract):
    spec = cr_vae.hvae_component()
    configs = [  # noqa: RUF012 - as a third party writes it
        {},
        {"mode": "exact", "shared_noise": False, "augmentation": "large", "colour": 0.3},
    ]
