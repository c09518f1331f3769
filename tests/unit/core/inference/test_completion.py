"""Images drawn from the posterior of what was measured of them."""

import numpy as np
import pytest

from hvae_core.config import create_component
from hvae_core.errors import BadInputError
from hvae_core.inference.programs import Complete, Generate, Infer
from hvae_core.interfaces import UINT8, Measured, Measurement
from hvae_core.plugins import ComponentSpec, hookimpl, manager

pytestmark = pytest.mark.every_backend


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


@pytest.fixture(scope="module")
def known():
    mask = np.zeros((8, 8), bool)
    mask[:, ::4] = True
    return mask


@pytest.fixture
def programs(model, monkeypatch):
    """The programs that a verb runs, and what they are given."""
    seen = []
    run = type(model).run

    def recorded(self, program, inputs):
        seen.append((program, inputs))
        return run(self, program, inputs)

    monkeypatch.setattr(type(model), "run", recorded)
    return seen


def test_all_draws_cost_one_pass_of_the_encoder(model, images, known, programs):
    drawn = model.posterior_sample(images[:2], known, n=64)
    assert drawn.shape == (64, 2, 8, 8, 1)
    ups = [inputs for program, inputs in programs if isinstance(program, Infer)]
    assert len(ups) == 1
    assert len(ups[0]["images"]) == 2
    assert sum(len(i["noise"][0]) for p, i in programs if isinstance(p, Complete)) == 128
    assert all(isinstance(p, Infer | Complete) for p, _ in programs)
    np.testing.assert_allclose(drawn.mean, np.asarray(drawn).mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(drawn.std, drawn[:].std(axis=0, ddof=1), atol=1e-3)
    # The first draw is the reconstruction of what the encoder sees; others are others.
    assert (drawn[0] == model.reconstruct(images[:2], seed=0)).mean() > 0.98
    assert (drawn[0] != drawn[1]).any()
    fewer = model.posterior_sample(images[:2], known, n=3, batch_size=2)
    assert (fewer[:] == drawn[:3]).mean() > 0.98  # a compiler may round batches in its own way


def test_draws_branch_where_the_posterior_ends(model, images, known, programs):
    model.posterior_sample(images[:2], known, n=3, layers=0.5, temperature=0.7)
    given = [inputs for program, inputs in programs if isinstance(program, Generate)]
    assert len(given) == 1  # six rows in one batch: the three draws of both images
    np.testing.assert_array_equal(given[0]["given"], [1, 1, 0, 0])
    for layer, is_shared in enumerate((True, True, False, False)):
        draws = np.reshape(given[0]["noise"][layer], (3, 2, -1))
        assert (draws[0] == draws[1]).all() == (draws[0] == draws[2]).all() == is_shared
    z = model.encode(images[:2], layers=2).z
    np.testing.assert_allclose(given[0]["noise"][0][:2], z[0], atol=1e-5)
    np.testing.assert_array_equal(given[0]["temperature"], np.float32(0.7))


def test_what_was_measured_is_put_back_and_what_was_not_is_filled(model, images, known, programs):
    y = np.where(known[..., None], images, 77)
    drawn = model.posterior_sample(y, known[None].repeat(5, 0), n=2, keep_known=True, fill=3)
    assert (drawn[:, :, known] == images[:, known]).all()
    seen = next(inputs["images"] for p, inputs in programs if isinstance(p, Infer))
    np.testing.assert_array_equal(seen, np.where(known[..., None], images, 3))
    means = model.posterior_sample(y, known, n=2, pixels="mean", fill=3.0)
    assert (means[:] != drawn[:]).any()


@pytest.mark.parametrize("fill", [-1, 300, 0.5, float("nan"), "x", [0, 1]])
def test_a_fill_that_is_no_value_of_a_pixel_is_refused(fill, model, images, known):
    with pytest.raises(BadInputError, match=r"fill is .*a whole number from 0 to 255"):
        model.posterior_sample(images, known, n=1, fill=fill)
    with pytest.raises(BadInputError, match="fill is "):
        model.information_gain(images, known, [0], n=2, fill=fill)


@pytest.mark.parametrize("noise", ["x", 0, -1.0, float("nan"), float("inf"), [1, 2]])
def test_the_noise_of_a_measurement_is_a_number_above_0(noise, model, images, known):
    with pytest.raises(BadInputError, match=r"noise is .*a number above 0"):
        model.information_gain(images, known, [0], n=2, noise=noise)


def test_information_gain_is_of_unknown_pixels_and_their_variance(model, images, known):
    gain = model.information_gain(images[:2], known, [0, 1, 2], n=8, noise=5.0)
    masks = np.zeros((3, 8, 8), bool)
    for column in range(3):
        masks[column, :, column] = True
    again = model.information_gain(images[:2], known, masks, n=8, noise=5.0)
    np.testing.assert_array_equal(gain, again)
    std = model.posterior_sample(images[:2], known, n=8).std[..., 0]
    told = 0.5 * np.log1p((std / 5.0) ** 2).sum(axis=1)
    np.testing.assert_allclose(gain[:, 1:], told[:, 1:3], rtol=1e-4)
    assert (gain[:, 0] == 0).all()


class Half(Measurement):
    """A third party's: the upper half is known."""

    def __init__(self, options, image_shape, values):
        self.fill = 0.0

    def measure(self, x, rng):
        mask = np.zeros(x.shape[:2], bool)
        mask[: len(x) // 2] = True
        return Measured(np.where(mask[..., None], x, x.dtype.type(0)), mask)


class Plugin:
    @hookimpl
    def hvae_component(self):
        return ComponentSpec(
            kind="measurement", name="half", summary="The upper half", builder=Half
        )


def test_a_measurement_of_a_third_party(model, images):
    manager().register(Plugin())
    try:
        half = create_component("measurement", "half").build((8, 8, 1), UINT8)
    finally:
        manager().unregister("measurement", "half")
    y, mask = half.measure(images[0], np.random.default_rng(0))
    drawn = model.posterior_sample(y[None], mask, n=2, keep_known=True)
    assert (drawn[:, 0, :4] == images[0, :4]).all()


NOTHING = np.zeros((8, 8), bool)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mask": np.ones((8, 4), bool)}, r"mask has shape \[8, 4\]; expected \[5, 8, 8\]"),
        ({"mask": np.ones((4, 8, 8), bool)}, r"mask has shape \[4, 8, 8\]"),
        ({"mask": NOTHING}, "mask leaves nothing of image 0"),
        ({"mask": np.full((8, 8), 0.5)}, "mask holds values that are neither true nor false"),
        ({"y": np.zeros((5, 8, 4, 1), np.uint8)}, r"y has shape \[5, 8, 4, 1\]"),
        ({"y": np.full((5, 8, 8, 1), 0.5)}, "y holds float64 values"),
        ({"n": 0}, "n is 0"),
        ({"layers": 5}, "layers is 5; the model has 4"),
        ({"layers": 1.5}, "layers is 1.5; a fraction must be"),
        ({"pixels": "median"}, "pixels is 'median'"),
        ({"temperature": -1.0}, "temperature is -1"),
    ],
)
def test_what_does_not_fit_is_refused(model, images, changes, sentence):
    arguments = {"y": images, "mask": ~NOTHING, **changes}
    with pytest.raises(BadInputError, match=sentence):
        model.posterior_sample(**arguments)


@pytest.mark.parametrize(
    ("candidates", "options", "sentence"),
    [
        ([8], {}, "candidates name column 8; the images have 8, from 0 to 7"),
        (np.ones((8, 8), bool), {}, r"candidates have shape \[8, 8\]"),
        ([1], {"noise": 0.0}, "noise is 0.0; it must be a number above 0"),
        ([1], {"n": 1}, "n is 1; it must be at least 2"),
    ],
)
def test_what_cannot_be_measured_next_is_refused(model, images, candidates, options, sentence):
    with pytest.raises(BadInputError, match=sentence):
        model.information_gain(images, ~NOTHING, candidates, **options)
