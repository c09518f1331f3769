"""Every likelihood against SciPy in float64, and what its options change."""

import numpy as np
import pytest
from keras import ops
from scipy import stats
from scipy.special import expit, log_ndtr, logsumexp, ndtr, ndtri

from hvae_core.backends.compiling import compiled
from hvae_core.config import create_component
from hvae_core.errors import ConfigError
from hvae_core.interfaces import UINT8, ImageValues
from hvae_core.plugins.version_1 import build_likelihood
from hvae_core.prob import normal

pytestmark = pytest.mark.every_backend

COUNTS = ImageValues("float32", -50.0, 350.0, "counts")
LN2 = np.log(2.0)


def make(name, values, channels=2, **options):
    component = create_component("likelihood", {"name": name, **options})
    return build_likelihood(component.spec, component.options, (4, 4, channels), values)


def numbers(likelihood, seed=0, rows=3):
    """Parameters [rows, 4, 4, P], and images near their means."""
    rng = np.random.default_rng(seed)
    parameters = rng.normal(0, 0.6, (rows, 4, 4, likelihood.parameters)).astype("f")
    return parameters, rng


def log_prob(likelihood, x, parameters):
    """In one program: JAX would compile each operation."""
    program = compiled(likelihood.log_prob, [])
    return ops.convert_to_numpy(program(*map(ops.convert_to_tensor, (x, parameters))))


def smoothed(raw):
    """Softplus of base 2, in float64."""
    return np.log1p(np.exp(LN2 * raw)) / LN2


def scales(parameters, channels, values):
    """Locations and scales in native units, as documented."""
    numbers64 = parameters.astype(np.float64)
    location = numbers64[..., :channels] * values.half_range + values.center
    return location, smoothed(numbers64[..., channels:]) * values.half_range


@pytest.mark.parametrize(
    ("name", "options", "density"),
    [
        ("gaussian", {}, stats.norm.logpdf),
        ("laplace", {}, stats.laplace.logpdf),
        (
            "student-t",
            {"degrees_of_freedom": 3.5},
            lambda x, m, s: stats.t.logpdf(x, 3.5, m, s),
        ),
    ],
)
def test_densities_of_floating_point_values(name, options, density):
    likelihood = make(name, COUNTS, **options)
    parameters, rng = numbers(likelihood)
    location, scale = scales(parameters, 2, COUNTS)
    x = (location + scale * rng.normal(size=location.shape)).astype("f")
    expected = density(x.astype(np.float64), location, scale).sum((1, 2, 3))
    np.testing.assert_allclose(log_prob(likelihood, x, parameters), expected, rtol=1e-6)


@pytest.mark.parametrize("scale", ["one", "channel", "fixed"])
def test_where_the_scale_comes_from(scale):
    options = {"fixed_scale": 20.0} if scale == "fixed" else {}
    likelihood = make("gaussian", COUNTS, scale=scale, **options)
    assert likelihood.parameters == 2 + {"one": 1, "channel": 2, "fixed": 0}[scale]
    parameters, rng = numbers(likelihood)
    x = rng.normal(150, 80, (3, 4, 4, 2)).astype("f")
    location = parameters[..., :2].astype(np.float64) * 200 + 150
    raw = parameters[..., 2:].astype(np.float64).mean((1, 2), keepdims=True)
    deviation = 20.0 if scale == "fixed" else smoothed(raw) * 200
    expected = stats.norm.logpdf(x, location, deviation).sum((1, 2, 3))
    np.testing.assert_allclose(log_prob(likelihood, x, parameters), expected, rtol=1e-6)


def test_smoothing_and_floor_of_the_scale():
    for smooths, expected in ((True, smoothed(0.5)), (False, np.exp(0.5))):
        likelihood = make("laplace", COUNTS, 1, gradient_smoothing=smooths, log_scale_floor=-2.0)
        parameters = np.full((1, 1, 1, 2), 0.5, "f")
        found = np.exp(ops.convert_to_numpy(likelihood.read(parameters).log_scale))
        np.testing.assert_allclose(found.ravel(), expected, rtol=1e-6)
        parameters[..., 1] = -40.0
        found = np.exp(ops.convert_to_numpy(likelihood.read(parameters).log_scale))
        np.testing.assert_allclose(found.ravel(), np.exp(-2.0), rtol=1e-6)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("name", ["discretized-gaussian", "logistic-mixture"])
def test_the_probabilities_of_all_levels_sum_to_one(name, bits):
    options = {"mixtures": 2} if name == "logistic-mixture" else {}
    likelihood = make(name, ImageValues.of_bits(bits), 1, **options)
    rng = np.random.default_rng(3)
    every = np.arange(2**bits, dtype="f").reshape(-1, 1, 1, 1)
    for shift in (0.0, -5.0):  # a wide one, and one of about a level
        parameters = rng.normal(0, 0.3, likelihood.parameters)
        parameters[-1] += shift
        many = np.tile(parameters.astype("f"), (2**bits, 1, 1, 1))
        total = np.exp(log_prob(likelihood, every, many).astype(np.float64)).sum()
        assert total == pytest.approx(1.0, abs=2e-5)


def between(low, high):
    """Log of the normal distribution's mass between two numbers, in float64."""
    flip = low + high > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    a, b = log_ndtr(low), log_ndtr(high)
    return b + np.log(-np.expm1(a - b))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_the_discretized_gaussian(bits):
    values = ImageValues.of_bits(bits)
    likelihood = make("discretized-gaussian", values)
    parameters, rng = numbers(likelihood)
    location, scale = scales(parameters, 2, values)
    x = np.clip(np.rint(location + scale * rng.normal(size=location.shape)), 0, values.high)
    x[0, 0, 0], x[0, 0, 1] = 0, values.high
    low = np.where(x == 0, -np.inf, (x - 0.5 - location) / scale)
    high = np.where(x == values.high, np.inf, (x + 0.5 - location) / scale)
    expected = between(low, high).sum((1, 2, 3))
    np.testing.assert_allclose(log_prob(likelihood, x.astype("f"), parameters), expected, rtol=1e-6)


def test_the_mean_of_the_discretized_gaussian_is_that_of_its_draws():
    likelihood = make("discretized-gaussian", UINT8, 1)
    draws = 40_000
    for location in (-1.2, 0.9):
        parameters = np.tile(np.array([location, -0.5], "f"), (draws, 1, 1, 1))
        noise = np.random.default_rng(0).random((draws, 1, 1, 1), dtype="f")
        drawn = ops.convert_to_numpy(likelihood.sample(parameters, noise)).astype(np.float64)
        mean = float(np.ravel(ops.convert_to_numpy(likelihood.mean(parameters[:1])))[0])
        error = drawn.std() / np.sqrt(draws)
        assert abs(drawn.mean() - mean) < 5 * error + 0.5


@pytest.mark.parametrize(("bits", "channels"), [(8, 1), (8, 3), (12, 2), (16, 1), (16, 5)])
def test_the_mixture_of_logistics(bits, channels):
    values = ImageValues.of_bits(bits)
    likelihood = make("logistic-mixture", values, channels, mixtures=3)
    parameters, rng = numbers(likelihood)
    parameters[..., 3:] -= 0.5
    x = rng.integers(0, values.levels, (3, 4, 4, channels))
    x[0, 0, 0], x[0, 0, 1] = 0, values.levels - 1
    p = parameters.astype(np.float64)
    logits, rest = p[..., :3], p[..., 3:]
    if channels == 3:
        rest = rest.reshape(3, 4, 4, 3, 9)
        means, log_scales, pairs = rest[..., :3], rest[..., 3:6], rest[..., 6:]
    else:
        own, pairs = rest[..., : 6 * channels], rest[..., 6 * channels :]
        own = own.reshape(3, 4, 4, channels, 6)
        means, log_scales = own[..., :3], own[..., 3:]
        pairs = pairs.reshape(3, 4, 4, -1, 3)
    place = 2.0 * x / (values.levels - 1) - 1.0
    joint, index = logits - logsumexp(logits, axis=-1, keepdims=True), 0
    for channel in range(channels):
        mean = means[..., channel, :]
        for before in range(channel):
            mean = mean + np.tanh(pairs[..., index, :]) * place[..., before, None]
            index += 1
        scale = np.exp(np.maximum(log_scales[..., channel, :], likelihood.floor))
        centred = place[..., channel, None] - mean
        half = 1.0 / (values.levels - 1)
        k = x[..., channel, None]
        upper = np.where(k == values.levels - 1, 1.0, expit((centred + half) / scale))
        lower = np.where(k == 0, 0.0, expit((centred - half) / scale))
        # far right, 1 - 1 is taken on the other side
        mirrored = expit(-(centred - half) / scale) - np.where(
            k == values.levels - 1, 0.0, expit(-(centred + half) / scale)
        )
        mass = np.where(centred > 0, mirrored, upper - lower)
        mass = np.where(k == 0, expit((centred + half) / scale), mass)
        joint = joint + np.log(np.maximum(mass, 1e-300))
    expected = logsumexp(joint, axis=-1).sum((1, 2))
    tolerance = 1e-6 if bits > 8 else 1e-5  # of 8 bits the original's form, as it always was
    found = log_prob(likelihood, x.astype("f"), parameters)
    np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_smoothing_floor_and_coupling_of_the_mixture():
    plain = make("logistic-mixture", UINT8, 1, mixtures=1)
    smooth = make("logistic-mixture", UINT8, 1, mixtures=1, gradient_smoothing=True)
    floored = make("logistic-mixture", UINT8, 1, mixtures=1, log_scale_floor=0.25)
    x = np.array([10, 200], np.uint8).reshape(2, 1, 1, 1)

    def of(likelihood, log_scale):
        parameters = np.tile(np.array([0.0, 0.1, log_scale], "f"), (2, 1, 1, 1))
        return log_prob(likelihood, x, parameters)

    np.testing.assert_allclose(of(smooth, 0.4), of(plain, np.log(smoothed(0.4))), rtol=1e-5)
    np.testing.assert_allclose(of(floored, -3.0), of(plain, 0.25), rtol=1e-6)
    steep = make(
        "logistic-mixture", UINT8, 1, mixtures=1, gradient_smoothing=True, smoothing_beta=2.0
    )
    scale = np.log1p(np.exp(2.0 * 0.4)) / 2.0
    np.testing.assert_allclose(of(steep, 0.4), of(plain, np.log(scale)), rtol=1e-5)
    halved = make("logistic-mixture", UINT8, 1, mixtures=1, log_scale_factor=0.5)
    np.testing.assert_allclose(of(halved, -1.0), of(plain, -0.5), rtol=1e-6)
    assert make("logistic-mixture", UINT8, 4, mixtures=2).parameters == 2 * (1 + 8 + 6)
    assert make("logistic-mixture", UINT8, 4, mixtures=2, coupling=False).parameters == 18


def test_efficient_vdvae_s_convention_of_few_levels():
    """Levels at multiples of 8, the first and the last bin open; draws up to the last."""
    options = {"mixtures": 1, "levels": 32, "convention": "efficient-vdvae"}
    likelihood = make("logistic-mixture", UINT8, 1, **options)
    places = np.array([0, 8, 120, 240, 248], np.uint8)
    x = places.reshape(-1, 1, 1, 1)
    parameters = np.tile(np.array([0.0, 0.2, -1.0], "f"), (5, 1, 1, 1))
    at, half = (places - 127.5) / 127.5, 1 / 31
    upper, lower = (expit((at + sign * half - 0.2) * np.exp(1.0)) for sign in (1, -1))
    expected = np.log([upper[0], *(upper - lower)[1:4], 1 - lower[4]])
    np.testing.assert_allclose(log_prob(likelihood, x, parameters), expected, rtol=2e-5)
    far = ops.convert_to_tensor(np.array([0.0, 3.0, -9.0], "f").reshape(1, 1, 1, 3))
    noise = ops.convert_to_tensor(np.full((1, 1, 1, 2), 0.5, "f"))
    assert int(ops.convert_to_numpy(likelihood.sample(far, noise))[0, 0, 0, 0]) == 248
    assert not likelihood.proper
    # Its density of narrow bins is not of the scale that the factor gives.
    narrow = np.tile(np.array([0.0, 0.99, -6.0], "f"), (1, 1, 1, 1))
    found = [
        log_prob(make("logistic-mixture", UINT8, 1, **more), x[2:3], narrow)[0]
        for more in ({**options, "log_scale_factor": 0.5}, {**options, "log_scale_factor": 1.0})
    ]
    middle = (at[2] - 0.99) * np.exp(3.0)
    density = middle + 6.0 - 2 * np.log1p(np.exp(middle)) + np.log(2 / 31)
    np.testing.assert_allclose(found[0], density, rtol=1e-5)
    assert found[1] < found[0]


def test_a_margin_is_no_part_of_the_image():
    likelihood = make("bernoulli", UINT8, 1, margin=1)
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=(2, 4, 4, 1)).astype("f")
    x = rng.integers(0, 2, (2, 4, 4, 1)).astype(np.uint8) * 255
    inner = np.zeros((2, 4, 4, 1), bool)
    inner[:, 1:3, 1:3] = True
    logits = np.where(x == 255, parameters, -parameters).astype(np.float64)
    expected = np.where(inner, np.log(expit(logits)), 0.0).sum((1, 2, 3))
    np.testing.assert_allclose(log_prob(likelihood, x, parameters), expected, rtol=1e-6)
    ones = ops.convert_to_tensor(np.full((2, 4, 4, 1), 20.0, "f"))
    noise = ops.convert_to_tensor(np.full((2, 4, 4, 1), 0.5, "f"))
    for drawn in (likelihood.sample(ones, noise), likelihood.mean(ones)):
        np.testing.assert_allclose(ops.convert_to_numpy(drawn), inner * 255, atol=1e-4)
    with pytest.raises(ConfigError, match=r"likelihood\.margin is 2, which leaves nothing"):
        make("bernoulli", UINT8, 1, margin=2)


def test_levels_beyond_those_of_the_images_are_refused():
    for name in ("logistic-mixture", "discretized-gaussian"):
        with pytest.raises(
            ConfigError, match=r"levels is 300, but the data set's images are uint8"
        ):
            make(name, UINT8, levels=300)
        assert make(name, ImageValues.of_bits(12), levels=300).levels == 300


@pytest.mark.parametrize("values", [COUNTS, ImageValues.of_bits(12)], ids=str)
def test_the_noise_model_is_gaussian_with_a_variance_of_the_signal(values):
    likelihood = make("noise-model", values, 1, gain=2.0, offset=50.0, black_level=10.0)
    parameters, rng = numbers(likelihood)
    clean = parameters.astype(np.float64) * values.half_range + values.center
    deviation = np.sqrt(2.0 * np.maximum(clean - 10.0, 0) + 50.0)
    x = clean + deviation * rng.normal(size=clean.shape)
    if values.is_discrete:
        x = np.clip(np.rint(x), 1, values.high - 1)
        low, high = ((x + half - clean) / deviation for half in (-0.5, 0.5))
        expected = between(low, high)
    else:
        expected = stats.norm.logpdf(x.astype("f"), clean, deviation)
    found = log_prob(likelihood, x.astype("f"), parameters)
    np.testing.assert_allclose(found, expected.sum((1, 2, 3)), rtol=1e-6)
    mean = ops.convert_to_numpy(likelihood.mean(ops.convert_to_tensor(parameters)))
    limits = (0, values.high) if values.is_discrete else (-np.inf, np.inf)
    np.testing.assert_allclose(mean, np.clip(clean, *limits), rtol=1e-5, atol=1e-3)


def test_gain_and_offset_are_learned_where_they_are_not_given():
    for options, learned in (({}, 2), ({"gain": 1.0}, 1), ({"gain": 1.0, "offset": 1.0}, 0)):
        assert make("noise-model", COUNTS, 3, **options).parameters == 3 + learned
    least = make("noise-model", COUNTS, 1, gain=0.0, offset=1e-12, least_deviation=0.5)
    zero = np.zeros((1, 1, 1, 1), "f")
    x = np.full((1, 1, 1, 1), COUNTS.center, "f")
    expected = stats.norm.logpdf(0, 0, 0.5 * COUNTS.half_range)
    np.testing.assert_allclose(log_prob(least, x, zero), expected, rtol=1e-6)


def test_the_normal_distribution_far_out():
    x = np.array([-80, -30, -5, -1, 0, 1, 5, 9], "f")
    found = ops.convert_to_numpy(normal.log_cdf(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(found[:-2], log_ndtr(x[:-2].astype(float)), rtol=1e-6)
    np.testing.assert_allclose(found[-2:], log_ndtr(x[-2:].astype(float)), atol=1e-7)
    middle = np.array([0.0, 0.3, -2.0, 6.0, -25.0, 300.0], "f")
    for half in (1e-5, 1e-3, 0.049, 0.051, 0.4, 3.0):
        widths = np.full_like(middle, half)
        found = ops.convert_to_numpy(
            normal.log_interval(ops.convert_to_tensor(middle), ops.convert_to_tensor(widths))
        )
        m, h = -np.abs(middle.astype(float)), float(np.float32(half))
        np.testing.assert_allclose(found, between(m - h, m + h), rtol=2e-6, atol=1e-6)
    u = np.array([1e-6, 0.02, 0.075, 0.3, 0.5, 0.925, 0.9999], "f")
    found = ops.convert_to_numpy(normal.quantile(ops.convert_to_tensor(u)))
    np.testing.assert_allclose(found, ndtri(u.astype(float)), rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(ndtr(found.astype(float)), u, rtol=1e-5)
