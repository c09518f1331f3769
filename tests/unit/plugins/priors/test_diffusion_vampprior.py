"""The diffusion-based VampPrior: its transform, its scale, and its loss where it is known."""

import math

import numpy as np
import pytest
from keras import ops
from scipy.fft import dctn

from hvae_core.config.loading import create_component
from hvae_core.errors import ConfigError
from hvae_core.interfaces import GaussianParameters
from hvae_core.prob import gaussian
from hvae_core.prob.elbo import log_ratio
from hvae_plugins.priors.diffusion_vampprior.cosine_transform import CosineTransform
from hvae_plugins.priors.diffusion_vampprior.diffusion import Diffusion

IMAGES = np.random.default_rng(0).uniform(size=(64, 6, 4, 2)).astype("f")


def make(shape=(6, 4, 2), **options):
    options = {"name": "diffusion-vampprior", "size": 2, "width": 4, "blocks": 1, **options}
    prior = create_component("prior", options).build(shape, name="prior")
    prior.build((None, *shape))
    return prior


def numpy(x):
    return np.asarray(ops.convert_to_numpy(x))


def test_the_transform_is_scipy_s_and_its_inverse_has_these_frequencies_alone():
    expected = dctn(IMAGES, type=2, norm="ortho", axes=(1, 2))
    for size in (2, 3):
        transform = CosineTransform(6, 4, size)
        cropped = expected[:, :size, :size]
        np.testing.assert_allclose(transform.forward(IMAGES.astype("d")), cropped, atol=1e-6)
        found = transform.forward(ops.convert_to_tensor(IMAGES))
        np.testing.assert_allclose(numpy(found), cropped, atol=2e-6)
        image = numpy(transform.inverse(found))
        back = dctn(image, type=2, norm="ortho", axes=(1, 2))
        np.testing.assert_allclose(back[:, :size, :size], cropped, atol=2e-6)
        back[:, :size, :size] = 0
        np.testing.assert_allclose(back, 0, atol=2e-6)


def test_the_scale_is_the_training_set_s_largest_floor_and_the_context_is_cut_off():
    prior = make(size=3)
    prior.adapt([IMAGES[:40], IMAGES[40:]])
    coefficients = dctn(IMAGES, type=2, norm="ortho", axes=(1, 2))[:, :3, :3]
    scale = np.abs(np.floor(coefficients)).max(axis=0)
    assert scale.min() >= 1
    np.testing.assert_allclose(numpy(prior.scale), scale)
    expected = np.clip(coefficients / scale, -1, 1)
    np.testing.assert_allclose(numpy(prior.observe(IMAGES)), expected, atol=1e-6)
    assert np.abs(numpy(prior.observe(9 * IMAGES))).max() == 1
    np.testing.assert_allclose(numpy(prior.mean), (coefficients / scale).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(numpy(prior.std), (coefficients / scale).std(axis=0), atol=1e-5)


def test_the_states_have_the_diffusion_s_marginals():
    numbers = Diffusion.linear(5, -3.0, 6.0)
    np.testing.assert_allclose(numbers.alpha**2 + numbers.sigma**2, 1)
    np.testing.assert_allclose((numbers.mixing**2).sum(axis=1), numbers.sigma**2)
    np.testing.assert_allclose(
        numbers.from_state * numbers.alpha[:-1] + numbers.from_context, numbers.alpha[1:]
    )
    log_snr = 2 * np.log(numbers.alpha / numbers.sigma)
    np.testing.assert_allclose(log_snr, np.linspace(-3, 6, 6), atol=1e-9)


#: of the contexts, in one coefficient
MEAN, STD = 0.3, 0.5


def optimum(steps):
    """A prior whose denoiser is the best one for contexts of N(0.3, 0.5^2): it is untrained."""
    prior = make((1, 1, 1), size=1, steps=steps, log_snr_max=8.0, log_snr_min=-6.0)
    prior.mean.assign(np.full((1, 1, 1), MEAN, np.float32))
    prior.std.assign(np.full((1, 1, 1), STD, np.float32))
    return prior


def test_the_loss_is_the_closed_form_where_the_best_denoiser_is_known():
    """Contexts, the posterior's noise in them, are Gaussian; the mean is within five errors."""
    count, steps = 4000, 6
    prior = optimum(steps)
    rng = np.random.default_rng(1)
    least = math.exp(float(numpy(prior._log_std()).item()))
    observed = MEAN + math.sqrt(STD**2 - least**2) * rng.normal(size=(count, 1, 1, 1))
    noise = rng.normal(size=(count, 1, 1, steps + 2)).astype("f")
    kl = numpy(prior.infer(ops.convert_to_tensor(observed.astype("f")), noise).kl)

    numbers = prior.diffusion
    alpha, sigma = numbers.alpha, numbers.sigma
    snr = (alpha / sigma) ** 2
    left = STD**2 * sigma**2 / ((alpha * STD) ** 2 + sigma**2)  # Var(u | z_k)
    diffusion = 0.5 * (np.diff(snr) * left[:-1]).sum()
    second = MEAN**2 + STD**2
    start = 0.5 * (alpha[0] ** 2 * second + sigma[0] ** 2 - 1) - math.log(sigma[0])
    expected = start + diffusion + math.log(sigma[-1] / alpha[-1]) - math.log(least)
    assert abs(kl.mean() - expected) < 5 * kl.std() / math.sqrt(count)
    assert kl.std() / math.sqrt(count) < 0.02 * expected


def test_many_steps_give_the_kl_of_the_context_in_closed_form():
    """KL(q(u | x) || N(0.3, 0.5^2)): what the diffusion loses goes to 0 with the steps."""
    rng = np.random.default_rng(2)
    gaps = []
    for steps, rows in ((4, 500), (200, 500)):
        prior = optimum(steps)
        observed = np.repeat(rng.normal(MEAN, STD, (1, 1, 1, 1)), rows, axis=0).astype("f")
        noise = rng.normal(size=(rows, 1, 1, steps + 2)).astype("f")
        out = prior.infer(ops.convert_to_tensor(observed), noise)
        log_std = float(numpy(prior._log_std()).item())
        q, p = (
            GaussianParameters(*map(ops.convert_to_tensor, pair))
            for pair in ((observed[0, 0, 0], [log_std]), ([MEAN], [math.log(STD)]))
        )
        closed = float(numpy(gaussian.kl_divergence(q, p)).item())
        kl = numpy(out.kl)
        error = kl.std() / math.sqrt(rows)
        gaps.append((kl.mean() - closed, error))
        off = kl + numpy(log_ratio(out))
        assert abs(off.mean()) < 5 * off.std() / math.sqrt(rows)
    (few, _), (many, error) = gaps
    assert few > 0.3
    # A diffusion's ends lose a little: e^-6 and e^-8 are not 0.
    assert abs(many) < 0.1 + 5 * error


def test_contexts_drawn_are_of_the_prior_s_law_and_shown_in_range():
    steps = 60
    prior = optimum(steps)
    noise = np.random.default_rng(3).normal(size=(3000, 1, 1, steps + 2)).astype("f")
    z = prior.generate(ops.convert_to_tensor(noise), 1.0)
    assert tuple(z.shape) == (3000, 1, 1, steps + 2)
    drawn = numpy(z)[..., -1]
    assert abs(drawn.mean() - MEAN) < 0.05
    assert abs(drawn.std() - STD) < 0.08
    image = numpy(prior.context(z))
    assert image.shape == (3000, 1, 1, 1)
    assert -1 <= image.min() < image.max() <= 1
    cold = numpy(prior.generate(ops.convert_to_tensor(noise), 0.1))[..., -1]
    assert cold.std() < 0.3 * drawn.std()


def test_sizes_of_context_and_denoiser_are_as_asked_for():
    prior = make(size=3, steps=4, width=6, blocks=2, log_snr_max=5.0, log_snr_min=-5.0)
    assert prior.observed_shape == (3, 3, 2)
    assert len(prior.diffusion.alpha) == 5
    assert len(prior.denoiser.blocks) == 2
    assert prior.denoiser.stem.kernel.shape == (3, 3, 2, 6)
    ends = 2 * np.log(prior.diffusion.alpha / prior.diffusion.sigma)
    np.testing.assert_allclose(ends[[0, -1]], [-5, 5], atol=1e-9)


def test_the_denoiser_gives_the_noise_or_what_a_gaussian_guess_leaves():
    """Untrained it gives 0: no noise, or the Gaussian's guess."""
    states = ops.convert_to_tensor(np.full((1, 1, 2, 2, 2), 0.4, np.float32))
    for prediction in ("noise", "gaussian"):
        prior = make(steps=3, prediction=prediction)
        alpha = prior.diffusion.alpha[0]
        guess = numpy(prior._guess(states, slice(0, 1)))
        expected = 0.4 / alpha if prediction == "noise" else 0.4 * alpha
        np.testing.assert_allclose(guess, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 5}, "size is 5, but an image of 6x4 has 4 frequencies"),
        ({"log_snr_min": 11.0}, "log_snr_min is 11, which is not below log_snr_max, 10"),
    ],
)
def test_impossible_options_are_refused(options, words):
    from hvae_core.config import parse_config

    model = {"resolutions": [[6, 4], [3, 2]]}
    prior = {"name": "diffusion-vampprior", "size": 2, **options}
    with pytest.raises(ConfigError, match=words):
        parse_config({"model": {**model, "prior": prior}})


def test_it_learns_what_a_condition_tells_of_the_context(tmp_path):
    """Dark images are of class 0, bright ones of class 1, and so are the contexts drawn of each."""
    import hvae_core as hvae

    rng = np.random.default_rng(0)
    count = 640  # of the more images, the fewer epochs, whose ends take their time
    labels = np.arange(count) % 2
    # A white image's context is 2, and what is above 1 is cut off.
    images = np.where(labels[:, None, None, None] > 0, 115, 25) + rng.integers(
        -9, 9, (count, 2, 2, 1)
    )
    model = {"resolutions": [2], "encoder_blocks": 1, "decoder_blocks": 1, "image_channels": 1,
             "prior": {"name": "diffusion-vampprior", "size": 1, "steps": 4, "width": 8,
                       "blocks": 1},
             "condition": {"name": "label", "classes": 2, "width": 4}}  # fmt: skip
    train = {"steps": 240, "batch_size": 32, "learning_rate": 0.02, "report": False,
             "sample_epochs": 0, "tensorboard": False}  # fmt: skip
    config = {"model": model, "likelihood": {"name": "logistic-mixture", "mixtures": 1},
              "train": train}  # fmt: skip
    hvae.train(config, tmp_path / "run", dataset=(images.astype(np.uint8), labels))
    trained = hvae.load(tmp_path / "run")
    noise = rng.normal(size=(200, *trained.latent_shapes[0])).astype("f")
    dark, bright = (
        numpy(trained.prior.generate(noise, 1.0, trained.embed(ops.full((200,), label, "int32"))))
        for label in (0, 1)
    )
    for drawn, grey in ((dark, 25), (bright, 115)):
        assert abs(drawn[..., -1].mean() - 2 * grey / 255) < 0.1
        assert drawn[..., -1].std() < 0.15  # of both together 0.35
