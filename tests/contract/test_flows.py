"""Our flows keep the contract of flows."""

import pytest

from hvae_core.plugins.testing import FlowContract
from hvae_plugins.flows import conv_sylvester, sylvester

pytestmark = pytest.mark.every_backend


class TestSylvester(FlowContract):
    spec = sylvester.hvae_component()
    configs = [  # noqa: RUF012 - as a third party writes it
        {"flows": 2, "orthogonal_vectors": 3},
        {"flows": 2, "orthogonal_vectors": 3, "orthogonalization": "bjorck"},
        {"variant": "householder", "flows": 2, "reflections": 3},
        {"variant": "triangular", "flows": 3},
    ]
    log_det_tolerance = 1e-4
    inverse_tolerance = 1e-4


class TestConvSylvester(FlowContract):
    spec = conv_sylvester.hvae_component()
    latent_shapes = ((4, 4, 2),)
    configs = [  # noqa: RUF012 - as a third party writes it
        {"channels": 4, "repeats": 2, "split_first": True, "levels": 2, "terms": 9},
        {"channels": 12, "spectral_norm": False, "context_channels": 0, "reflections": 2},
    ]
    log_det_tolerance = 1e-4
    inverse_tolerance = 1e-4
