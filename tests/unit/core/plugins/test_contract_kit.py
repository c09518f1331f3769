import dataclasses
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.interfaces import Flow, FlowOutput
from hvae_core.plugins import ComponentSpec, hookimpl, manager
from hvae_core.plugins.specs import NoOptions
from hvae_core.plugins.testing import FlowContract
from hvae_core.prob import gaussian


@dataclasses.dataclass(frozen=True)
class AffineOptions:
    gain: float = 0.5
    conditional: bool = True


class Affine(Flow, keras.layers.Layer):
    """``z' = exp(s) z + t`` with s and t of the weights and, if asked, of the context."""

    invertible = "exact"

    def __init__(self, options, latent_shape, context_channels, name):
        super().__init__(name=name)
        self.options, self.width = options, latent_shape[-1]
        self.context_channels = context_channels

    def build(self, input_shape):
        self.log_scale = self.add_weight(shape=(self.width,), name="log_scale")
        self.shift = self.add_weight(shape=(self.width,), name="shift")
        self.built = True

    def _terms(self, z, context):
        scale, shift = ops.zeros_like(z) + self.log_scale, ops.zeros_like(z) + self.shift
        if context is not None:
            context = ops.cast(context, "float32")
            scale = scale + ops.tanh(context[..., : self.width])
            shift = shift + context[..., self.width :]
        return self.options.gain * scale, shift

    def forward(self, z, context=None):
        scale, shift = self._terms(z, context)
        return FlowOutput(ops.exp(scale) * z + shift, ops.sum(scale, axis=(1, 2, 3)))

    def inverse(self, z, context=None):
        scale, shift = self._terms(z, context)
        return FlowOutput((z - shift) * ops.exp(-scale), ops.sum(scale, axis=(1, 2, 3)))


def spec_of(layer, **changes):
    values = {
        "kind": "flow",
        "name": "toy-affine",
        "summary": "an elementwise affine map",
        "builder": layer,
        "config": AffineOptions,
        "context_channels": lambda options, shape: 2 * shape[-1] * options.conditional,
    }
    return ComponentSpec(**{**values, **changes})


@pytest.mark.every_backend
class TestAffine(FlowContract):
    """What a third party writes."""

    spec = spec_of(Affine)
    configs = ({}, {"conditional": False, "gain": 1.0})


class WrongLogDet(Affine):
    def forward(self, z, context=None):
        z, log_det = super().forward(z, context)
        return FlowOutput(z, 0.5 * log_det)


class WrongInverse(Affine):
    def inverse(self, z, context=None):
        start, log_det = super().inverse(z, context)
        return FlowOutput(start, -log_det)


class MixesRows(Affine):
    def forward(self, z, context=None):
        z, log_det = super().forward(z, context)
        return FlowOutput(z + ops.mean(z, axis=0, keepdims=True), log_det)


class UnusedWeight(Affine):
    def build(self, input_shape):
        super().build(input_shape)
        self.idle = self.add_weight(shape=(2,), name="idle")


class CountedNames(Affine):
    count = 0

    def build(self, input_shape):
        super().build(input_shape)
        type(self).count += 1
        self.extra = self.add_weight(shape=(self.width,), name=f"extra{self.count}")


class OwnRandomness(Affine):
    def forward(self, z, context=None):
        noise = ops.convert_to_tensor(np.random.normal(size=z.shape[1:]).astype("f"))
        return super().forward(z + noise, context)


class SummedLogDet(Affine):
    def forward(self, z, context=None):
        z, log_det = super().forward(z, context)
        return FlowOutput(z, ops.sum(log_det))


class HalfTheContext(Affine):
    def _terms(self, z, context):
        if context is not None:
            context = context * ops.cast(ops.arange(2 * self.width) < self.width, context.dtype)
        return super()._terms(z, context)


class PolicyPrecision(Affine):
    def forward(self, z, context=None):
        z, log_det = super().forward(z, context)
        return FlowOutput(ops.cast(z, self.compute_dtype), log_det)


@pytest.mark.every_backend
@pytest.mark.parametrize(
    ("layer", "test"),
    [
        (WrongLogDet, "test_log_det_is_the_jacobian_s"),
        (WrongInverse, "test_the_inverse_undoes_it"),
        (MixesRows, "test_any_number_of_rows"),
        (UnusedWeight, "test_every_weight_gets_a_gradient"),
        (CountedNames, "test_a_second_one_has_the_same_weight_names"),
        (OwnRandomness, "test_the_same_seed_gives_the_same_numbers"),
        (SummedLogDet, "test_it_is_a_flow_that_keeps_the_shape"),
        (HalfTheContext, "test_it_uses_all_of_the_context_it_asks_for"),
        (PolicyPrecision, "test_densities_stay_float32"),
    ],
)
def test_the_flow_contract_catches(layer, test):
    contract = FlowContract()
    contract.spec = spec_of(layer)
    with pytest.raises(AssertionError):
        getattr(contract, test)({}, (2, 2, 3))


@pytest.mark.every_backend
def test_an_undeclared_inverse_must_not_answer():
    class Silent(Affine):
        invertible = None

    contract = FlowContract()
    contract.spec = spec_of(Silent)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        contract.test_the_inverse_undoes_it({}, (1, 1, 2))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import os; os.environ['LOUD_PLUGIN'] = '1'", "the environment"),
        ("import sys; sys.path.append('/nowhere')", "sys.path"),
        ("import random; random.seed(0)", "Python's random state"),
        ("import numpy; numpy.random.seed(0)", "NumPy's random state"),
    ],
)
def test_a_plugin_that_changes_the_process_when_imported_is_caught(
    tmp_path, monkeypatch, line, what
):
    import importlib

    (tmp_path / "loud_plugin.py").write_text(f"{line}\ndef build(*args): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    contract = FlowContract()
    contract.needs_keras = False
    contract.spec = spec_of("loud_plugin:build", config=NoOptions)
    with monkeypatch.context() as kept:
        # What the import does here is taken back; the contract looks in a process of its own.
        kept.setenv("LOUD_PLUGIN", "0")
        kept.setattr(sys, "path", list(sys.path))
        kept.delitem(sys.modules, "loud_plugin", raising=False)
        importlib.import_module("loud_plugin")
        kept.delenv("LOUD_PLUGIN")
        with pytest.raises(AssertionError, match=what):
            contract.test_importing_it_changes_nothing()
    sys.modules.pop("loud_plugin", None)


def test_an_installed_component_can_be_named():
    class Named(FlowContract):
        spec = "block.bottleneck"

    assert Named().component is manager().get("block", "bottleneck")
    with pytest.raises(AssertionError, match="of kind 'block', not 'flow'"):
        Named().test_the_spec_is_complete()


def test_only_the_kit_imports_pytest():
    code = (
        "import sys, hvae_core.api, hvae_core.plugins, hvae_core.config, hvae_core.model,"
        " hvae_core.training; sys.exit('pytest' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def toy_flow():
    """The affine flow, registered in this process for one test."""
    module = types.ModuleType("toy_affine")

    @hookimpl
    def hvae_component():
        return spec_of(Affine)

    module.hvae_component = hvae_component
    manager().register(module)
    yield "toy-affine"
    manager().unregister("flow", "toy-affine")


def small_config(flow):
    from hvae_core.config import parse_config

    return parse_config(
        {
            "model": {
                "resolutions": [8, 4],
                "image_channels": 1,
                "width": 8,
                "encoder_middle_width": 4,
                "decoder_middle_width": 4,
                "latent_width": 2,
                "encoder_blocks": 1,
                "decoder_blocks": 1,
                "readout": {"width": 8, "middle_width": 4, "blocks": 1},
                "flow": flow,
            },
            "likelihood": {"name": "logistic-mixture", "mixtures": 2, "levels": 17},
            "train": {"batch_size": 4, "steps": 4, "warmup_steps": 0, "learning_rate": 0.01},
        }
    )


def small_images(count):
    rng = np.random.default_rng(0)
    return np.round(rng.integers(0, 17, (count, 8, 8, 1)) * 255 / 16).astype(np.uint8)


@pytest.mark.every_backend
@pytest.mark.parametrize("conditional", [True, False])
def test_a_registered_flow_s_kl_is_the_monte_carlo_estimate(toy_flow, conditional):
    """KL = log q(z0|x) - log_det - log p(z), and on average the KL of the Gaussian it makes.

    An affine flow of a Gaussian is Gaussian, so the expected value is known in closed form.
    """
    from hvae_core.prob.noise import Noise, draw_normal
    from hvae_core.vae import HierarchicalVAE

    model = HierarchicalVAE(small_config({"name": toy_flow, "conditional": conditional}))
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        value = np.asarray(ops.convert_to_numpy(variable.value))
        variable.assign(value + rng.normal(0, 0.15, value.shape).astype("f"))
    rows = 2000
    x = ops.convert_to_tensor(np.repeat(small_images(1), rows, axis=0))
    flat = ops.convert_to_tensor(draw_normal(model.latent_shapes, rows, 0))
    output = model.infer(x, Noise.from_flat(flat, model.latent_shapes))
    for layer in output.layers:
        drawn = layer.posterior.mean + ops.exp(layer.posterior.log_std) * layer.noise
        log_q = gaussian.sum_event(gaussian.log_prob(drawn, layer.posterior))
        log_p = gaussian.sum_event(gaussian.log_prob(layer.z, layer.prior))
        expected = ops.convert_to_numpy(log_q - layer.log_det - log_p)
        assert np.abs(ops.convert_to_numpy(layer.log_det)).max() > 1e-2
        np.testing.assert_allclose(ops.convert_to_numpy(layer.kl), expected, atol=2e-4, rtol=1e-4)
    first = output.layers[0]
    z, drawn, log_det = (
        np.asarray(ops.convert_to_numpy(t), np.float64)
        for t in (first.z, first.posterior.mean + ops.exp(first.posterior.log_std) * first.noise,
                  first.log_det)
    )  # fmt: skip
    # The first layer's posterior is the same in every row: the affine map is read off its draws.
    slope = (z[1] - z[0]) / (drawn[1] - drawn[0])
    assert np.log(slope).sum() == pytest.approx(log_det[0], abs=1e-2)
    mean, log_std = (np.asarray(ops.convert_to_numpy(p))[:1] for p in first.posterior)
    moved = z[0] + slope * (mean - drawn[0])
    analytic = gaussian.kl_divergence(
        _gaussian(moved, log_std + np.log(slope)), _gaussian(*(p[:1] for p in first.prior))
    )
    kl = ops.convert_to_numpy(first.kl)
    error = kl.std() / np.sqrt(rows)
    assert abs(kl.mean() - float(ops.sum(analytic))) < 4 * error + 1e-2


def _gaussian(mean, log_std):
    from hvae_core.interfaces import GaussianParameters

    def tensor(values):
        return ops.cast(ops.convert_to_tensor(values), "float32")

    return GaussianParameters(tensor(mean), tensor(log_std))


@pytest.mark.every_backend
def test_a_registered_flow_trains_and_is_saved_with_the_model(toy_flow, tmp_path):
    from hvae_core.training.step import build_step
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights import load_weights, save_weights

    config = small_config(toy_flow)
    model = HierarchicalVAE(config)
    images = small_images(8)
    before = model.elbo(images, seed=0)
    flow_before = _flow_weights(model)
    step = build_step(model, config.train)
    for update in range(5):
        step(images, step=update, learning_rate=0.03, beta=1.0)
    step.sync()
    after = model.elbo(images, seed=0)
    assert np.isfinite(after.elbo).all()
    assert after.kl_per_layer.shape == (8, 2)
    assert after.elbo.mean() > before.elbo.mean()
    assert any(
        np.abs(a - b).max() > 0 for a, b in zip(_flow_weights(model), flow_before, strict=True)
    )
    save_weights(model, tmp_path / "weights.safetensors")
    other = HierarchicalVAE(config)
    names = load_weights(other, tmp_path / "weights.safetensors")
    assert "decoder.blocks.0.flow.shift" in names
    np.testing.assert_allclose(other.elbo(images, seed=0).elbo, after.elbo, rtol=1e-5)
    assert model.sample(2, seed=0).shape == (2, 8, 8, 1)


def _flow_weights(model):
    return [
        np.array(ops.convert_to_numpy(variable.value))
        for variable in model.trainable_variables
        if "/flow/" in variable.path
    ]
