"""Posterior flows inside the hierarchy."""

import re

import numpy as np
import pydantic
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.backends.compiling import compiled
from hvae_core.data import open_dataset
from hvae_core.errors import ConfigError
from hvae_core.evaluation import evaluate
from hvae_core.prob import gaussian
from hvae_core.prob.elbo import log_ratio

# The tiny model has layers of scales 1, 4, 8, 8, coarsest first.
FLOWS = {
    "sylvester": {"name": "sylvester", "flows": [0, 2, 1], "orthogonal_vectors": [0, 3, 2]},
    "conv-sylvester": {
        "name": "conv-sylvester",
        "scales": [False, True, True],
        "channels": 4,
        "split_first": [False, True, False],
        "levels": 2,
        "terms": 9,
        "reflections": 2,
    },
}


@pytest.fixture(scope="module", params=FLOWS)
def model(request, make_model):
    return make_model(model={"flow": FLOWS[request.param]})


def test_flows_are_where_they_are_asked_for(model):
    flows = [layer.flow is not None for layer in _layers(model)]
    assert flows == [True, True, False, False]


def _layers(model):
    return [layer for group in model.decoder.layers_by_stage for layer in group]


def test_the_kl_of_each_layer_is_the_estimate_of_its_densities(model, images):
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(len(images), *s)).astype("f") for s in model.latent_shapes]
    forward = compiled(lambda x, *noise: model.infer(x, noise), model.variables)
    output = forward(*map(ops.convert_to_tensor, (images, *noise)))
    total = 0.0
    for place, layer in enumerate(output.layers):
        q, p = layer.posterior, layer.prior
        log_q = gaussian.standard_log_prob(layer.noise, q)
        estimate = gaussian.sum_event(log_q - gaussian.log_prob(layer.z, p)) - layer.log_det
        analytic = gaussian.sum_event(gaussian.kl_divergence(q, p))
        has_flow = place < 2
        expected = ops.convert_to_numpy(estimate if has_flow else analytic)
        np.testing.assert_allclose(ops.convert_to_numpy(layer.kl), expected, atol=1e-4)
        moved = np.abs(ops.convert_to_numpy(layer.log_det)).max()
        assert (moved > 1e-4) == has_flow
        np.testing.assert_allclose(
            ops.convert_to_numpy(log_ratio(layer)), -ops.convert_to_numpy(estimate), atol=1e-4
        )
        total = total + expected
    np.testing.assert_allclose(ops.convert_to_numpy(output.kl), total, rtol=1e-5)


@pytest.mark.compiled
def test_importance_weighting_tightens_the_bound(model, images):
    elbo = np.mean([model.elbo(images, seed=s).elbo for s in range(20)], axis=0)
    tighter = model.log_likelihood(images, importance_samples=50, seed=0)
    assert (tighter > elbo - 0.5).all()
    assert tighter.mean() > elbo.mean()


def test_evaluation_reports_every_layer(model):
    figures = evaluate(model, open_dataset(model.config.data), "test", limit=8)
    assert len(figures["kl_per_layer"]) == 4
    assert np.isfinite(figures["kl_per_layer"]).all()


def test_sampling_uses_no_flow(model, make_model):
    plain = make_model(random_weights=False)
    weights = {variable.path: variable for variable in model.variables}
    skipped = 0
    for variable in plain.variables:
        source = weights[variable.path]
        if tuple(source.shape) == tuple(variable.shape):
            variable.assign(source.value)
        else:
            # the posterior's further channels, which a sample has no use for
            assert "posterior" in variable.path
            skipped += 1
    assert skipped
    np.testing.assert_array_equal(model.sample(3, seed=1), plain.sample(3, seed=1))


def test_it_saves_and_loads(model, images, tmp_path):
    model.save(tmp_path / "preset")
    again = hvae.load(tmp_path / "preset")
    assert again.config == model.config
    np.testing.assert_allclose(
        again.elbo(images, seed=0).elbo, model.elbo(images, seed=0).elbo, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ({"name": "sylvester", "scales": [True]}, "model.flow.scales has 1 values"),
        ({"name": "sylvester", "scales": "yes"}, "'scales' is 'yes'"),
        ({"name": "sylvester", "flows": [1, 2]}, "model.flow.flows has 2 values"),
        (
            {"name": "sylvester", "context_channels": [1, 0, 1], "orthogonal_vectors": 2},
            "context_channels is 0",
        ),
        ({"name": "sylvester", "orthogonal_vectors": [8, 8, 3]}, "orthogonal_vectors is 3"),
        ({"name": "conv-sylvester", "splitfirst": True}, "model.flow.splitfirst"),
    ],
)
def test_bad_options_are_told(flow, message, make_model):
    with pytest.raises((ConfigError, pydantic.ValidationError), match=re.escape(message)):
        make_model(model={"flow": flow})
