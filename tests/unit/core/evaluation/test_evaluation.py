import math

import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.data import ArraySource
from hvae_core.errors import BadInputError
from hvae_core.evaluation import elbo, evaluate_batches, log_likelihood
from hvae_core.evaluation.verbs import Verbs
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import DRAW_STRIDE, latent_noise
from hvae_core.interfaces import Dataset, DatasetInfo
from hvae_core.prob.noise import draw_normal, split_layers

pytestmark = pytest.mark.every_backend

CONFIG = {
    "model": {
        "resolutions": [4, 1],
        "image_channels": 1,
        "width": 8,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "readout": {"width": 8, "middle_width": 4, "blocks": 0},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2, "levels": 4},
}


@pytest.fixture(scope="module")
def model():
    from keras import ops

    model = hvae.build(CONFIG)
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.5, value.shape).astype("float32"))
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (7, 4, 4, 1)).astype(np.uint8)


def test_elbo_s_parts_add_up_and_batches_do_not_matter(model, images):
    whole, parts = (elbo(model, images, batch_size=size) for size in (7, 3))
    np.testing.assert_allclose(whole.elbo, whole.log_likelihood - whole.kl, rtol=1e-6)
    np.testing.assert_allclose(whole.kl, whole.kl_per_layer.sum(-1), rtol=1e-6)
    np.testing.assert_allclose(whole.bits_per_dim, -whole.elbo / 16 / math.log(2), rtol=1e-6)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_given_noise_is_what_the_seed_would_draw(model, images):
    noise = split_layers(draw_normal(model.latent_shapes, 7, 5), model.latent_shapes)
    np.testing.assert_allclose(
        model.elbo(images, noise=noise).elbo, model.elbo(images, seed=5).elbo, rtol=1e-6
    )
    assert np.abs(model.elbo(images, seed=6).elbo - model.elbo(images, seed=5).elbo).max() > 1e-4


def test_the_evidence_of_a_pixel_by_enumeration():
    """A model of one pixel with two levels: p(0) + p(1) = 1, and the bound approaches log p."""
    from keras import ops

    config = {
        "model": {
            **CONFIG["model"],
            "resolutions": [1],
            "width": 4,
            "latent_width": 1,
            "encoder_blocks": 1,
        },
        "likelihood": "bernoulli",
    }
    model = hvae.build(config)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        value = ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.5, value.shape).astype("float32"))
    both = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    copies = np.repeat(both, 20, axis=0)
    bounds = log_likelihood(model, copies, 100, batch_size=40).reshape(2, 20)
    evidence = np.exp(bounds).mean(axis=1)
    error = np.sqrt(((np.exp(bounds).std(axis=1) / math.sqrt(20)) ** 2).sum())
    assert abs(evidence.sum() - 1.0) < 4 * error


def test_more_importance_samples_tighten_the_bound(model, images):
    many = np.repeat(images[:2], 60, axis=0)
    one, few, lots = (log_likelihood(model, many, k, batch_size=120) for k in (1, 4, 16))
    standard_error = (few - one).std() / math.sqrt(len(many))
    assert few.mean() > one.mean() - 2 * standard_error
    assert lots.mean() > few.mean()
    # With one draw the expectation is the ELBO's.
    bound = elbo(model, many, seed=9, batch_size=120).elbo
    error = math.sqrt((one.var() + bound.var()) / len(many))
    assert abs(one.mean() - bound.mean()) < 4 * error


class Counted(Verbs):
    """A model whose programs are counted; ``has_features``: it runs those that begin with them."""

    def __init__(self, model, has_features=True):
        self.model, self.has_features, self.rows = model, has_features, {}

    def __getattr__(self, name):
        return getattr(self.model, name)

    def gives(self, program):
        return self.has_features or not program.from_features

    def run(self, program, inputs):
        rows = len(inputs["images"])
        self.rows[program] = self.rows.get(program, 0) + rows
        return self.model.run(program, inputs)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_all_draws_of_an_image_cost_one_pass_of_the_encoder(model, images, count):
    shared, apart = Counted(model), Counted(model, has_features=False)
    found, expected = (
        log_likelihood(engine, images[:count], 5, batch_size=7) for engine in (shared, apart)
    )
    # Of another number of rows at a time a convolution may round otherwise.
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    weights = np.stack([
        model.run(
            Infer(("log_weight",)),
            {"images": images[:count], "noise": latent_noise(model, index, 0)},
        )["log_weight"]
        for index in (np.arange(count) + k * DRAW_STRIDE for k in range(5))
    ]).astype("d")  # fmt: skip
    np.testing.assert_allclose(found, np.logaddexp.reduce(weights) - math.log(5), rtol=1e-5)
    assert shared.rows[Infer(("features",))] == count
    # As many draws at a time as fill a batch.
    together = min(7 // count, 5)
    assert shared.rows[Infer(("log_weight",), from_features=True)] == (
        count * together * math.ceil(5 / together)
    )


def test_components_are_given_the_encoder_s_features_as_tensors(images):
    """Attention adds to them, which an array would not let it on PyTorch."""
    attention = {"name": "davi", "query_width": 4, "queries": 2}
    model = hvae.build({**CONFIG, "model": {**CONFIG["model"], "attention": attention}})
    found, expected = (
        log_likelihood(Counted(model, has_features), images, 2) for has_features in (True, False)
    )
    # Of another number of rows at a time a convolution may round otherwise.
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_every_image_weighs_the_same_whatever_the_batches(model, images):
    by_two = evaluate_batches(model, [images[:4], images[4:]])
    by_one = evaluate_batches(model, [images])
    assert by_two["images"] == 7
    for key in ("elbo", "kl", "bits_per_dim", "elbo_standard_error"):
        assert by_two[key] == pytest.approx(by_one[key], rel=1e-5)
    assert by_one["elbo"] == pytest.approx(elbo(model, images).elbo.mean(), rel=1e-6)
    assert by_one["elbo_standard_error"] == pytest.approx(
        elbo(model, images).elbo.std(ddof=1) / math.sqrt(7), rel=1e-5
    )


def test_active_units_are_those_whose_posterior_mean_varies(model, images):
    figures = evaluate_batches(model, [images])
    assert figures["units"] == [2, 32]
    assert sum(figures["active_units"]) > 0
    same = evaluate_batches(model, [np.repeat(images[:1], 7, axis=0)])
    # Equal images have equal means at the top; below, the noise above moves them.
    assert same["active_units"][0] == 0


class Toy(Dataset):
    info = DatasetInfo("toy", "nowhere", "1", "none")
    splits = ("test",)
    shape = (4, 4, 1)

    def __init__(self, images):
        self.images = images

    def load(self, split):
        return ArraySource(self.images)


def test_evaluate_a_data_set(model, images):
    seen = []
    figures = hvae.evaluate(
        model,
        Toy(images),
        importance_samples=2,
        batch_size=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert figures["images"] == 7
    assert figures["unit"] == "bits/dim"
    assert figures["importance_weighted"] > figures["elbo"] - 1.0
    assert seen[:2] == [(0, 21), (3, 21)]  # a draw an image, then two
    assert seen[-1] == (21, 21)
    assert hvae.evaluate(model, Toy(images), limit=2)["images"] == 2
    with pytest.raises(BadInputError, match=r"no split 'tset'\. Did you mean 'test'"):
        hvae.evaluate(model, Toy(images), split="tset")


WRONG_NUMBERS = [
    *({"seed": value} for value in ("x", -1)),
    *({"batch_size": value} for value in (0, -2, 2.5)),
    *({"limit": value} for value in ("3", 2.5, -1, 0)),
]


@pytest.mark.parametrize(
    "options",
    [*WRONG_NUMBERS, *({"importance_samples": value} for value in (0, "3", 2.0)),
     *({"measurement": "columns:0.5", **wrong} for wrong in [*WRONG_NUMBERS, {"draws": 0}])],
)  # fmt: skip
def test_numbers_are_checked_before_anything_is_computed(options, model, images, monkeypatch):
    monkeypatch.setattr(Toy, "load", pytest.fail)
    with pytest.raises(BadInputError, match=f"{list(options)[-1]} is "):
        hvae.evaluate(model, Toy(images), progress=pytest.fail, **options)


def test_no_images_is_an_error(model):
    with pytest.raises(BadInputError, match="no images"):
        evaluate_batches(model, [])


def test_the_importance_weighted_figure_does_not_depend_on_the_batches(model, images):
    one, two = (
        hvae.evaluate(model, Toy(images), importance_samples=3, batch_size=size) for size in (7, 2)
    )
    assert one["importance_weighted"] == pytest.approx(two["importance_weighted"], rel=1e-5)
    alone = log_likelihood(model, images[2:], 3, first=2)
    np.testing.assert_allclose(alone, log_likelihood(model, images, 3)[2:], rtol=1e-5)


def test_keras_s_evaluate_of_a_model_that_is_not_compiled_is_told(model, images):
    with pytest.raises(BadInputError, match=r"not compiled.*hvae\.evaluate\(model, dataset=x\)"):
        model.evaluate(images)
