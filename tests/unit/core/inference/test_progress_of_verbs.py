"""Whatever is asked of a model tells who waits for it how far it is."""

import numpy as np
import pytest

import hvae
from hvae_core.inference.counterfactual import likeliest
from hvae_core.inference.sampling import sample_batches
from hvae_core.inference.watching import counting

pytestmark = pytest.mark.every_backend

MODEL = {
    "resolutions": [4, 2],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 2,
    "decoder_middle_width": 2,
    "latent_width": 1,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "no_bias_above": 0,
    "readout": {"kind": "features"},
}
CONDITIONAL = {
    "model": {**MODEL, "condition": {"name": "label", "classes": 3}},
    "likelihood": {"name": "logistic-mixture", "mixtures": 1},
}
NOISY = {
    "model": MODEL,
    "likelihood": {"name": "noise-model", "gain": 0.1, "offset": 0.01},
    "data": {"name": "python", "values": {"dtype": "float32"}},
}
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1)).astype(np.uint8)
LARGE = np.random.default_rng(0).integers(0, 256, (2, 4, 12, 1)).astype(np.uint8)
OWN = np.array([0, 1, 2, 0, 1])
MASK = np.eye(4, dtype=bool)
TWO = {"batch_size": 2}


@pytest.fixture(scope="module")
def model():
    return hvae.build(CONDITIONAL)


@pytest.fixture(scope="module")
def noisy():
    return hvae.build(NOISY)


def told_of(compute):
    """What is told; each pass begins with 0, which is left out."""
    told = []
    with hvae.watch_progress(lambda *progress: told.append(progress)):
        compute()
    assert told[0] == (0, told[0][1])
    return [progress for progress in told if progress[0]]


IN_TWOS = [(2, 5), (4, 5), (5, 5)]
VERBS = {
    "sample": (lambda m: m.sample(5, condition=OWN, **TWO), IN_TWOS),
    "encode": (lambda m: m.encode(IMAGES, condition=OWN, **TWO), IN_TWOS),
    "features": (lambda m: m.features(IMAGES, **TWO), IN_TWOS),
    "reconstruct": (lambda m: m.reconstruct(IMAGES, condition=OWN, **TWO), IN_TWOS),
    "elbo": (lambda m: m.elbo(IMAGES, condition=OWN, **TWO), IN_TWOS),
    # draws, each image's three
    "log_likelihood": (
        lambda m: m.log_likelihood(IMAGES, 3, condition=OWN, **TWO),
        [(2, 15), (4, 15), (6, 15), (8, 15), (10, 15), (12, 15), (13, 15), (14, 15), (15, 15)],
    ),
    "posterior_sample": (
        lambda m: m.posterior_sample(IMAGES, MASK, 3, condition=OWN, batch_size=4),
        [(4, 15), (8, 15), (12, 15), (15, 15)],
    ),
    # of each class
    "likeliest": (
        lambda m: likeliest(m, IMAGES, batch_size=3),
        [(3, 15), (5, 15), (8, 15), (10, 15), (13, 15), (15, 15)],
    ),
    # in two passes
    "counterfactual": (
        lambda m: m.counterfactual(IMAGES, 1, own=OWN, batch_size=3),
        [(3, 5), (5, 5), (3, 5), (5, 5)],
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_progress_is_told_after_each_batch(verb, model):
    compute, expected = VERBS[verb]
    assert told_of(lambda: compute(model)) == expected


def test_progress_of_draws_of_a_noisy_image(noisy):
    images = IMAGES[:2].astype(np.float32)
    told = told_of(lambda: noisy.denoise(images, n=3, batch_size=2))
    assert told == [(2, 6), (3, 6), (5, 6), (6, 6)]


@pytest.mark.parametrize("verb", ["encode", "reconstruct", "denoise"])
def test_progress_of_large_images_is_told_after_each_tile(verb, noisy):
    images = LARGE.astype(np.float32)
    options = {"n": 1} if verb == "denoise" else {}
    told = told_of(lambda: getattr(noisy, verb)(images, tile=4, overlap=0, **options))
    assert told == [(done, 6) for done in range(1, 7)]


def test_what_is_asked_on_the_way_is_a_part_of_it(model):
    told = []
    with hvae.watch_progress(lambda *progress: told.append(progress)):
        for _ in sample_batches(model, 4, batch_size=2, condition=1):
            model.elbo(IMAGES, condition=OWN)
        model.elbo(IMAGES, condition=OWN)
    assert told == [(0, 4), (2, 4), (4, 4), (0, 5), (5, 5)]


def test_after_a_failure_progress_is_told_again(model):
    def interrupted():
        with counting(2):
            raise KeyboardInterrupt

    told = []
    with hvae.watch_progress(lambda *progress: told.append(progress)):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        model.elbo(IMAGES, condition=OWN)
    assert told == [(0, 2), (0, 5), (5, 5)]


def test_nobody_is_told_once_the_context_has_ended(model):
    told = []
    with hvae.watch_progress(lambda *progress: told.append(progress)):
        with hvae.watch_progress(None):  # whoever listens already
            model.elbo(IMAGES, condition=OWN)
        inner = told_of(lambda: model.elbo(IMAGES, condition=OWN))
        assert inner == [(5, 5)]
        going_on = sample_batches(model, 2, batch_size=1, condition=1)
        next(going_on)
    assert len(list(going_on)) == 1
    model.elbo(IMAGES, condition=OWN)
    assert told == [(0, 5), (5, 5), (0, 2)]
