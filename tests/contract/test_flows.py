"""Our flows keep the contract of flows."""

import keras
import pytest

from hvae_core.plugins.testing import FlowContract
from hvae_plugins.flows import conv_sylvester, sylvester

pytestmark = pytest.mark.every_backend


#: with PyTorch, which compiles nothing, every variant has every shape; elsewhere one has one, and
#: golden/test_flows_agree.py the others' numbers
ALL_SHAPES = keras.config.backend() == "torch"
SOME = 2 if ALL_SHAPES else 1


class TestSylvester(FlowContract):
    spec = sylvester.hvae_component()
    latent_shapes = FlowContract.latent_shapes if ALL_SHAPES else ((2, 2, 3),)
    configs = [
        {"flows": 2, "orthogonal_vectors": 3},
        {"variant": "householder", "flows": 2, "reflections": 3},
    ][:SOME]
    log_det_tolerance = 1e-4
    inverse_tolerance = 1e-4


class TestSylvesterOfVectors(TestSylvester):
    latent_shapes = FlowContract.latent_shapes if ALL_SHAPES else ((1, 1, 4),)
    configs = [
        {"flows": 2, "orthogonal_vectors": 3, "orthogonalization": "bjorck"},
        {"variant": "triangular", "flows": 3},
    ][-SOME:]


class TestPlanar(FlowContract):
    spec = "flow.planar"
    latent_shapes = FlowContract.latent_shapes if ALL_SHAPES else ((2, 2, 3),)
    configs = [{"flows": 3}]  # noqa: RUF012
    log_det_tolerance = 1e-4
    inverse_tolerance = 1e-4


class TestIaf(FlowContract):
    spec = "flow.iaf"
    latent_shapes = FlowContract.latent_shapes if ALL_SHAPES else ((1, 1, 4),)
    configs = [
        {"flows": 2, "hidden": 9},
        {"flows": 1, "hidden": 16, "context_channels": 0, "gated": True},
    ][:SOME]
    log_det_tolerance = 1e-4
    inverse_tolerance = 1e-4


class TestConvSylvester(FlowContract):
    spec = conv_sylvester.hvae_component()
    latent_shapes = ((4, 4, 2),)
    configs = [
        {"channels": 4, "split_first": True, "levels": 2 if ALL_SHAPES else 1, "terms": 9},
        {
            "channels": 12, "levels": 1, "repeats": 2, "spectral_norm": False,
            "context_channels": 0, "reflections": 2,
        },
    ][:SOME]  # fmt: skip
    log_det_tolerance = 1e-4
    inverse_tolerance = 1e-4

    @pytest.mark.compiled
    def test_log_det_is_the_jacobian_s(self, config, case):
        """As one program: TensorFlow takes long for its many rows operation by operation."""
        super().test_log_det_is_the_jacobian_s(config, case)
