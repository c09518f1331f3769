"""How well images are completed: distances, coverage and baselines, of draws whose law is known."""

import numpy as np
import pytest

from hvae_core.data.measuring import measured
from hvae_core.evaluation.completing import evaluate_completion
from hvae_core.evaluation.image_metrics import coverage, psnr, ranks, ssim
from hvae_core.evaluation.verbs import Verbs
from hvae_core.inference import PosteriorDraws
from hvae_core.interfaces import UINT8, Dataset, DatasetInfo, ImageValues, Measured, Measurement

pytest.importorskip("skimage")
SHAPE = (8, 8, 1)
LEVELS = 5


def grey(rng, *shape):
    """Few values, so that there are ties; half of the pixels are always black."""
    values = rng.integers(0, LEVELS, (*shape, *SHAPE)) * 50
    values[..., ::2, :] = 0
    return values.astype(np.uint8)


class Noise(Dataset):
    info = DatasetInfo("Noise", "computed", "1", "CC0-1.0")
    splits = ("train", "test")
    shape = SHAPE

    def load(self, split):
        images = grey(np.random.default_rng(len(split)), 60)

        class Source:
            shape = SHAPE
            __len__ = lambda self: len(images)  # noqa: E731
            batch = lambda self, indices: images[indices].copy()  # noqa: E731

        return Source()


class Left(Measurement):
    fill = 9.0

    def __init__(self, random=False):
        self.random = random

    def measure(self, x, rng):
        mask = np.zeros(SHAPE[:2], bool)
        mask[:, : int(rng.integers(1, 8)) if self.random else 4] = True
        return Measured(np.where(mask[..., None], x, np.uint8(9)), mask)


class Oracle(Verbs):
    """Draws from the true law, or too narrow a one."""

    image_shape, image_values = SHAPE, UINT8
    condition_values, sees_inputs = None, False

    def __init__(self, narrow=False):
        self.narrow = narrow

    def posterior_sample(self, y, mask, n, layers, seed, batch_size, keep_known, condition):
        drawn = grey(np.random.default_rng(seed + 99), n, len(y))
        if self.narrow:
            drawn = np.clip(drawn, 0, 100) // 2 + 25
        return PosteriorDraws(np.where(mask[None, ..., None], y, drawn))


def test_draws_of_the_true_law_cover_as_they_should():
    figures = evaluate_completion(
        Oracle(), Noise(), Left(), draws=9, unadapted=Oracle(narrow=True), batch_size=25
    )
    assert figures["images"] == 60
    assert figures["known"] == 0.5
    assert abs(figures["coverage_50"] - 0.5) < 0.03
    assert abs(figures["coverage_90"] - 0.9) < 0.03
    narrow = figures["baselines"]["unadapted_encoder"]
    assert narrow["coverage_90"] < 0.7
    # The mean of the draws is near the mean of all, and better than a draw.
    filled = figures["baselines"]["mean_filled"]
    assert abs(figures["psnr_of_mean"] - filled["psnr_of_mean"]) < 0.7
    assert figures["psnr_of_draws"] < figures["psnr_of_mean"] - 2
    assert figures["ssim_of_draws"] < figures["ssim_of_mean"] < 1
    assert set(filled) == {"psnr_of_mean", "ssim_of_mean"}


def test_the_bound_is_of_what_the_model_was_trained_to_see(make_model):
    """Its own fill stands in unknown pixels, whatever the measurement puts there."""
    from hvae_core.config import create_component

    model = make_model(
        measurement={"name": "columns", "known": 0.5, "fill": 0}, model={"input_channels": 2}
    )
    found = []
    for fill in (0, 128):
        options = {"name": "columns", "known": 0.5, "fill": fill}
        measurement = create_component("measurement", options).build(SHAPE, UINT8)
        found.append(evaluate_completion(model, Noise(), measurement, draws=1, limit=8))
    assert found[0]["elbo"] == found[1]["elbo"]
    images = Noise().load("test").batch(np.arange(8))
    y, mask = measured(model.measurement, images, range(8), 0)
    bounds = model.elbo(images, inputs=model.encoder_inputs(y, mask)).elbo
    assert found[0]["elbo"] == pytest.approx(bounds.mean(), rel=1e-5)


def test_distances():
    values = ImageValues("float32", 0.0, 2.0)
    truth = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    np.testing.assert_array_equal(psnr(truth, truth, values), 100)
    np.testing.assert_allclose(psnr(truth + 0.2, truth, values), 20, atol=1e-4)
    np.testing.assert_allclose(ssim(truth, truth, values), 1)
    assert (ssim(truth, 1 - truth, values) < 0.5).all()
    assert ssim(truth[:, :6, :6], truth[:, :6, :6], values).shape == (3,)


def test_ranks_are_uniform_with_ties():
    rng = np.random.default_rng(0)
    place = ranks(rng.integers(0, 2, (4, 20000)), rng.integers(0, 2, 20000), rng)
    assert 0 < place.min() < place.max() < 1
    np.testing.assert_allclose(np.histogram(place, 5, (0, 1))[0] / 20000, 0.2, atol=0.02)
    assert coverage(np.array([0.1, 0.4, 0.6, 0.97]), [0.5, 0.9]) == {
        "coverage_50": 0.5, "coverage_90": 0.75,
    }  # fmt: skip


def test_a_measurement_is_its_image_s():
    """By seed and image, whatever the batch."""
    images = grey(np.random.default_rng(0), 6)
    whole = measured(Left(random=True), images, range(6), seed=1)[1]
    for part in (slice(0, 2), slice(2, 6)):
        mask = measured(Left(random=True), images[part], range(6)[part], seed=1)[1]
        np.testing.assert_array_equal(mask, whole[part])
    other = measured(Left(random=True), images, range(6), seed=2)[1]
    assert other.tobytes() != whole.tobytes()
