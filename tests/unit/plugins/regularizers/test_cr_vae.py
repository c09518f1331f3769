"""The consistency term against closed forms, quadrature and the hierarchy itself."""

import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import compiled
from hvae_core.config import Config, create_component, parse_config
from hvae_core.data import open_dataset
from hvae_core.errors import ConfigError
from hvae_core.interfaces import (
    GaussianParameters,
    LatentOutput,
    LayerPosterior,
    PassOutput,
)
from hvae_core.prob.noise import Noise, draw_normal
from hvae_core.vae import HierarchicalVAE

MODEL = {
    "resolutions": [4, 2, 1],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 4,
    "decoder_middle_width": 4,
    "latent_width": 2,
    "encoder_blocks": 1,
    "decoder_blocks": [0, 1, 1],
    "readout": {"width": 4, "middle_width": 4, "blocks": 0},
}
SYLVESTER = {"name": "sylvester", "flows": 2, "orthogonal_vectors": 2}
CONVOLUTIONAL = {"name": "conv-sylvester", "channels": 2, "levels": 1, "terms": 9}
FINER = {"scales": [False, True, False], "context_channels": 2}


def make(weight=1.0, **options):
    options = {"name": "cr-vae", "weight": weight, **options}
    regularizer = create_component("regularizer", options)
    return regularizer.build(open_dataset(create_component("dataset", "digits")), 17)


def make_model(**changes):
    config = {
        "model": {**MODEL, **changes},
        "likelihood": {"name": "logistic-mixture", "mixtures": 1, "levels": 5},
    }
    model = HierarchicalVAE(Config.model_validate(config))
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.6, value.shape).astype("f"))
    return model


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor)).astype(np.float64)


def run(model, images, flat, function):
    """``function`` of a pass, as arrays; one program."""

    def program(images, flat):
        return function(model.infer(images, Noise.from_flat(flat, model.latent_shapes)))

    outputs = compiled(program, model.variables)(*map(ops.convert_to_tensor, (images, flat)))
    return [numpy(output) for output in outputs]


def images(count):
    return np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1)).astype(np.uint8)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"attention": "davi"},
        {"flow": {**SYLVESTER, **FINER}},
        {"flow": {**CONVOLUTIONAL, **FINER}},
    ],
    ids=["plain", "davi", "sylvester", "conv-sylvester"],
)
def test_it_is_zero_for_equal_views_with_shared_noise(changes):
    model = make_model(**changes)
    views, flat = np.tile(images(3), (2, 1, 1, 1)), draw_normal(model.latent_shapes, 3, 0)
    regularizers = [make(mode=mode) for mode in ("paths", "exact")]

    def terms(flat):
        return run(model, views, flat, lambda out: [r.penalty(out, model) for r in regularizers])

    tolerance = 2e-3 if "flow" in changes else 1e-5
    for term in terms(np.tile(flat, (2, 1))):
        np.testing.assert_allclose(term, 0, atol=tolerance)
    # With noise of their own, the paths differ, but not x's posteriors along its own latents.
    paths, exact = terms(draw_normal(model.latent_shapes, 6, 0))
    # with flows a path is an estimate and may be negative
    assert np.abs(paths).max() > 3 * tolerance, paths
    np.testing.assert_allclose(exact, 0, atol=tolerance)


class Toy:
    """q(z1|x) = N(a x, s^2), q(z2|z1,x) = N(b z1 + c x, t^2); s, t and b depend on x too."""

    flows = (None, None)

    def first(self, x):
        return GaussianParameters(0.8 * x, 0.3 * x - 0.5)

    def second(self, z, x):
        return GaussianParameters((0.5 + 0.2 * x) * z - 0.6 * x, 0.2 * x)

    def passed(self, x, noise):
        layers, z = [], None
        for e in noise:
            q = self.first(x) if z is None else self.second(z, x)
            z = q.mean + np.exp(q.log_std) * e
            tensors = GaussianParameters(*(ops.convert_to_tensor(p) for p in q))
            zero = ops.zeros(len(x))
            layers.append(LatentOutput(ops.convert_to_tensor(z), zero, zero, tensors, tensors, e))
        kl = ops.zeros(len(x))
        return PassOutput(kl, kl, layers, kl, [ops.convert_to_tensor(x)])

    def posteriors_along(self, features, latents):
        x, (z, _) = features[0], latents
        return [LayerPosterior(self.first(x), None), LayerPosterior(self.second(z, x), None)]

    def joint(self, x):
        """Mean and covariance of (z1, z2)."""
        q, r = self.first(x), self.second(0.0, x)
        slope, s, t = 0.5 + 0.2 * x, np.exp(2 * q.log_std), np.exp(2 * r.log_std)
        mean = np.array([q.mean, slope * q.mean + r.mean])
        return mean, np.array([[s, slope * s], [slope * s, slope**2 * s + t]])


def gaussian_kl(mean, covariance, other_mean, other):
    difference, inverse = other_mean - mean, np.linalg.inv(other)
    log_ratio = np.linalg.slogdet(other)[1] - np.linalg.slogdet(covariance)[1]
    trace = np.trace(inverse @ covariance)
    return 0.5 * (trace + difference @ inverse @ difference - len(mean) + log_ratio)


ROWS = 40_000


@pytest.fixture
def toy_pass():
    """x = 0.7 and x~ = -0.4, with shared noise."""
    toy, rng = Toy(), np.random.default_rng(0)
    x = np.repeat(np.array([0.7, -0.4], "f"), ROWS)[:, None, None, None]
    noise = [np.tile(rng.normal(size=(ROWS, 1, 1, 1)).astype("f"), (2, 1, 1, 1)) for _ in "12"]
    return toy, toy.passed(x, noise), noise


def test_exact_is_the_closed_form_on_a_two_layer_toy(toy_pass):
    toy, out, _ = toy_pass
    term = numpy(make(mode="exact").penalty(out, toy))
    expected = gaussian_kl(*toy.joint(-0.4), *toy.joint(0.7))  # from the copy to the image
    error = term.std() / np.sqrt(ROWS)
    assert term.mean() == pytest.approx(expected, abs=4 * error + 1e-5)
    # The other direction is another number.
    assert abs(gaussian_kl(*toy.joint(0.7), *toy.joint(-0.4)) - expected) > 20 * error


def test_paths_is_the_sum_of_both_paths_divergences(toy_pass):
    toy, out, noise = toy_pass

    def kl(q, p):
        variances = np.exp(2 * q[1] - 2 * p[1])
        return 0.5 * (variances + ((q[0] - p[0]) / np.exp(p[1])) ** 2 - 1) + p[1] - q[1]

    x, copy = np.float64(0.7), np.float64(-0.4)
    drawn = [q.mean + np.exp(q.log_std) * noise[0][:ROWS] for q in map(toy.first, (x, copy))]
    second = kl(toy.second(drawn[1], copy), toy.second(drawn[0], x))
    expected = kl(toy.first(copy), toy.first(x)) + second[:, 0, 0, 0]
    term = numpy(make(mode="paths").penalty(out, toy))
    np.testing.assert_allclose(term, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(numpy(make(0.3).penalty(out, toy)), 0.3 * expected, rtol=1e-4)


def test_exact_agrees_with_the_densities_of_the_hierarchy():
    """``E[log q(z~|x~) - log q(z~|x)]``, each log q from `HierarchicalVAE.follow`, many draws."""
    model, rows = make_model(), 3000
    views = np.repeat(np.array([0, 255], np.uint8), rows)[:, None, None, None]
    views = np.tile(views, (1, 4, 4, 1))
    flat = draw_normal(model.latent_shapes, 2 * rows, seed=0)

    def function(out):
        latents = [layer.z[rows:] for layer in out.layers]
        log_q = []
        for half in (slice(rows, None), slice(rows)):
            total = 0.0
            posteriors = model.posteriors_along([f[half] for f in out.features], latents)
            for (q, _), z in zip(posteriors, latents, strict=True):
                log_prob = -0.5 * ((z - q.mean) / ops.exp(q.log_std)) ** 2 - q.log_std
                total = total + ops.sum(log_prob, axis=(1, 2, 3))
            log_q.append(total)
        return [make(mode="exact").penalty(out, model), *log_q]

    term, mine, other = run(model, views, flat, function)
    difference = mine - other
    error = np.hypot(difference.std(), term.std()) / np.sqrt(rows)
    assert abs(difference.mean() - term.mean()) < 4 * error
    assert term.mean() > 20 * error


def test_an_amortised_flow_agrees_with_quadrature():
    """One number a latent: both densities on a grid, their ratio integrated."""
    rows = 20_000
    options = {"name": "sylvester", "variant": "triangular", "flows": 3, "context_channels": 2}
    flow = create_component("flow", options).build((1, 1, 1), 2, name="flow")
    flow.build()
    rng = np.random.default_rng(5)
    for variable in flow.trainable_variables:
        variable.assign(rng.normal(0, 0.8, variable.shape).astype("f"))
    contexts = rng.normal(size=(2, 1, 1, 2)).astype("f")
    means, log_stds = np.array([0.3, -0.5]), np.array([-0.2, 0.1])

    def spread(values):
        return np.repeat(np.asarray(values, "f"), rows).reshape(-1, 1, 1, 1)

    noise = np.tile(rng.normal(size=(rows, 1, 1, 1)).astype("f"), (2, 1, 1, 1))
    q = GaussianParameters(*(ops.convert_to_tensor(spread(v)) for v in (means, log_stds)))
    context = ops.convert_to_tensor(np.repeat(contexts, rows, axis=0))
    z, log_det = flow.forward(q.mean + ops.exp(q.log_std) * noise, context)
    zero = ops.zeros(2 * rows)
    layer = LatentOutput(z, zero, log_det, q, q, ops.convert_to_tensor(noise), context)

    class OneLayer:
        flows = (flow,)

    term = numpy(make().penalty(PassOutput(zero, zero, [layer], zero, []), OneLayer()))

    u = np.linspace(-9, 9, 20_001)
    grid = ops.convert_to_tensor(u.astype("f").reshape(-1, 1, 1, 1))
    ends, log_q = [], []
    for place in (0, 1):
        given = ops.convert_to_tensor(np.repeat(contexts[place : place + 1], len(u), axis=0))
        end, log_det = (numpy(t).reshape(-1) for t in flow.forward(grid, given))
        standard = (u - means[place]) / np.exp(log_stds[place])
        log_0 = -0.5 * (standard**2 + np.log(2 * np.pi)) - log_stds[place]
        ends.append(end)
        log_q.append(log_0 - log_det)
    other = np.interp(ends[1], ends[0], log_q[0])
    density = np.exp(log_q[1])
    assert np.trapezoid(density, ends[1]) == pytest.approx(1, abs=1e-3)
    expected = np.trapezoid(density * (log_q[1] - other), ends[1])
    error = term.std() / np.sqrt(rows)
    assert term.mean() == pytest.approx(expected, abs=4 * error + 1e-3)
    assert expected > 0.1
    # The Gaussians' divergence alone is another number.
    base = (
        np.exp(2 * (log_stds[1] - log_stds[0])) + ((means[1] - means[0]) / np.exp(log_stds[0])) ** 2
    )
    assert abs(0.5 * (base - 1) + log_stds[0] - log_stds[1] - expected) > 20 * error


def test_a_flow_without_context_changes_no_divergence():
    model = make_model(flow={**CONVOLUTIONAL, **FINER, "context_channels": 0})
    assert model.flows[1] is not None

    def function(out):
        blind = [layer._replace(z=None, log_det=None) for layer in out.layers]
        return [make().penalty(o, model) for o in (out, out._replace(layers=blind))]

    with_flows, without = run(model, images(4), draw_normal(model.latent_shapes, 4, 0), function)
    np.testing.assert_array_equal(with_flows, without)
    assert with_flows.min() > 0


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (
            {"name": "conv-sylvester", "spectral_norm": False},
            "needs the inverse of model.flow with its gradient",
        ),
        ("conv-sylvester", None),
        ({"name": "sylvester", "flows": 1, "orthogonal_vectors": 1}, None),
        ({"name": "conv-sylvester", "spectral_norm": False, "context_channels": 0}, None),
        ({"name": "conv-sylvester", "spectral_norm": False, "scales": False}, None),
    ],
)
def test_flows_it_cannot_be_combined_with_are_refused_when_read(flow, words):
    values = {"model": {"flow": flow}, "regularizer": "cr-vae"}
    if words is None:
        assert parse_config(values).regularizer.name == "cr-vae"
        return
    with pytest.raises(ConfigError, match=words):
        parse_config(values)
