import itertools

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends.compiling import Program, compiled, value_and_grad
from hvae_core.prob import logistic_mixture

pytestmark = pytest.mark.every_backend


def random_parameters(channels, mixtures, batch=1, side=1, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    count = logistic_mixture.parameter_count(mixtures, channels)
    return rng.normal(0, spread, (batch, side, side, count)).astype(np.float32)


def log_prob_of(x, parameters, mixtures, levels):
    """In one program: JAX would compile each operation."""

    def program(x, parameters):
        mixture = logistic_mixture.split(parameters, mixtures, x.shape[-1])
        return logistic_mixture.log_prob(x, mixture, levels)

    given = map(ops.convert_to_tensor, (x, parameters))
    return ops.convert_to_numpy(compiled(program, [])(*given))


def draw(parameters, uniform, mixtures=10, channels=3):
    def program(parameters, uniform):
        mixture = logistic_mixture.split(parameters, mixtures, channels)
        return logistic_mixture.sample(mixture, uniform)

    given = (ops.convert_to_tensor(array.astype(np.float32)) for array in (parameters, uniform))
    return ops.convert_to_numpy(compiled(program, [])(*given))


def grid(levels):
    return -1.0 + 2.0 * np.arange(levels) / (levels - 1)


@pytest.mark.parametrize(("channels", "levels"), [(1, 256), (1, 17), (1, 2), (3, 5), (3, 8)])
def test_mass_over_all_values_is_one(channels, levels):
    """Every image of one pixel, enumerated: the bins and the open edges tile the line."""
    values = np.array(list(itertools.product(grid(levels), repeat=channels)), np.float32)
    x = values.reshape(-1, 1, 1, channels)
    parameters = np.repeat(random_parameters(channels, 3), len(x), axis=0)
    total = np.exp(log_prob_of(x, parameters, 3, levels).astype(np.float64)).sum()
    assert total == pytest.approx(1.0, abs=2e-5)


def test_samples_follow_the_density():
    """The drawn frequencies of the levels of one pixel match exp(log_prob), by chi-square."""
    levels, mixtures, draws = 9, 2, 40_000
    parameters = random_parameters(1, mixtures, seed=3)
    rng = np.random.default_rng(0)
    uniform = rng.uniform(size=(draws, 1, 1, mixtures + 1)).astype(np.float32)
    drawn = draw(np.repeat(parameters, draws, axis=0), uniform, mixtures, 1)
    index = np.round((drawn.ravel() + 1) * (levels - 1) / 2).astype(int)
    counts = np.bincount(index, minlength=levels)
    x = grid(levels).astype(np.float32).reshape(-1, 1, 1, 1)
    log_prob = log_prob_of(x, np.repeat(parameters, levels, axis=0), mixtures, levels)
    expected = draws * np.exp(log_prob.ravel())
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 26.1  # 8 degrees of freedom, p = 0.001


def test_extreme_parameters_give_finite_values_and_gradients():
    parameters = random_parameters(3, 4, side=3, spread=30.0)
    variable = keras.Variable(parameters)
    x = ops.convert_to_tensor(
        np.random.default_rng(1).choice(grid(256), (1, 3, 3, 3)).astype(np.float32)
    )

    def loss():
        mixture = logistic_mixture.split(ops.convert_to_tensor(variable), 4, 3)
        return -ops.sum(logistic_mixture.log_prob(x, mixture, 256)), ()

    value, _, (gradient,) = Program(
        lambda: value_and_grad(loss, [variable]), [variable], compile=True
    )()
    assert np.isfinite(float(value))
    assert np.isfinite(ops.convert_to_numpy(gradient)).all()


@pytest.mark.parametrize(("case", "mixtures"), [("wide", 10), ("typical", 10), ("mix3", 3)])
def test_against_the_original(shared_folder, case, mixtures):
    """The original's loss alone, per image (goldens, sections 7 and 10)."""
    from safetensors.numpy import load_file

    tensors = load_file(shared_folder / "goldens" / "vdvae" / "dmol" / "dmol.safetensors")
    log_prob = log_prob_of(tensors[f"{case}.target_f32"], tensors[f"{case}.params"], mixtures, 256)
    per_image = -log_prob.mean(axis=(1, 2)) / 3
    np.testing.assert_allclose(per_image, tensors[f"{case}.nll_per_image_per_dim_f64"], atol=5e-5)
    # Per pixel, float32 cancels near the small-mass threshold; the median does not see it.
    error = np.abs(-log_prob / 3 - tensors[f"{case}.nll_per_pixel_f64"] / 3)
    assert np.median(error) < 5e-5
    assert error.max() < 5e-3


def test_the_sampler_against_the_original(shared_folder):
    """Same parameters, same uniform numbers: the same continuous image (goldens, section 7)."""
    from safetensors.numpy import load_file

    tensors = load_file(shared_folder / "goldens" / "vdvae" / "dmol" / "dmol.safetensors")
    uniform = np.concatenate([tensors["sampler.u_mixture"], tensors["sampler.u_logistic"]], -1)
    expected = tensors["sampler.image_float"]
    case = next(
        name
        for name in ("typical", "wide", "lowbit")
        if tensors[f"{name}.params"].shape[:3] == expected.shape[:3]
        and np.abs(draw(tensors[f"{name}.params"], uniform) - expected).max() < 1e-2
    )
    np.testing.assert_allclose(draw(tensors[f"{case}.params"], uniform), expected, atol=2e-5)
