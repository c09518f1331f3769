"""Our flows keep the contract of flows."""

from hvae_core.plugins.testing import FlowContract
from hvae_plugins.flows import sylvester


class TestSylvester(FlowContract):
    spec = sylvester.hvae_component()
    configs = [  # noqa: RUF012 - as a third party writes it
        {"layers": 2, "columns": 3},
        {"layers": 2, "columns": 3, "orthogonalization": "bjorck"},
        {"variant": "householder", "layers": 2, "reflections": 3},
        {"variant": "triangular", "layers": 3},
    ]
    log_det_tolerance = 1e-4
    inverse_tolerance = 1e-4
