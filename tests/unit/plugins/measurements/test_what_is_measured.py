"""What each measurement keeps of an image, and how one is spelt."""

import numpy as np
import pytest

from hvae_core.config import create_component
from hvae_core.errors import BadInputError, ConfigError
from hvae_core.interfaces import UINT8, ImageValues

SHAPE = (12, 8, 1)
FLOATS = ImageValues("float32", 0.0, 1.0)


def measure(chosen, x=None, seed=0, values=UINT8, shape=SHAPE):
    x = np.full(shape, values.high, values.dtype) if x is None else x
    measurement = create_component("measurement", chosen).build(shape, values)
    return measurement.measure(x, np.random.default_rng(seed))


def lines(mask, axis=0):
    """The known columns (axis 0) or rows, all of which must be known whole."""
    assert (mask.all(axis=axis) == mask.any(axis=axis)).all()
    return np.flatnonzero(mask.all(axis=axis)).tolist()


def test_columns_are_so_many_lines():
    assert len(lines(measure("columns:0.25").mask)) == 2
    assert len(lines(measure("columns:3").mask)) == 3
    assert lines(measure("columns:0.25").mask) != lines(measure("columns:0.25", seed=1).mask)
    assert lines(measure("columns:4,order=equispaced").mask) == [1, 3, 5, 7]
    assert lines(measure("columns,lines=[0,5]").mask) == [0, 5]
    rows = measure({"name": "columns", "known": 0.5, "direction": "rows"}).mask
    assert len(lines(rows, axis=1)) == 6
    counts = {len(lines(measure("columns:4,least=2", seed=seed).mask)) for seed in range(30)}
    assert counts == {2, 3, 4}


def test_unknown_pixels_hold_what_is_asked_for():
    y, mask = measure("columns:0.25")
    assert set(y[~mask].ravel()) == {np.uint8(128)}  # 127.5, the middle, as an integer
    assert set(measure("mask:0.25,fill=7").y[~measure("mask:0.25").mask].ravel()) == {7}
    assert set(measure("columns:1", values=FLOATS).y.ravel()) == {np.float32(0.5), 1.0}


def test_masks_are_pixels_boxes_or_strokes():
    assert measure("mask:0.25").mask.sum() == 24
    for shape, most in (("boxes", 0.61), ("free-form", 0.61)):
        masks = [measure(f"mask:0.6,shape={shape}", seed=seed).mask for seed in range(5)]
        assert all(0 < mask.mean() < most for mask in masks)
        assert len({mask.tobytes() for mask in masks}) == 5
    one = measure("mask:0.99,shape=boxes,size=0.25").mask  # a single box
    hidden = np.argwhere(~one)
    assert (~one).sum() == np.prod(np.ptp(hidden, axis=0) + 1)
    assert (np.ptp(hidden, axis=0) <= [2, 1]).all()
    thin, thick = (
        (~measure(f"mask:0.999,shape=free-form,brush={b}", shape=(64, 64, 1)).mask).sum()
        for b in (0.02, 0.3)
    )
    assert thick > 4 * thin


def test_downsampling_gives_means():
    x = np.arange(96, dtype=np.uint8).reshape(SHAPE)
    y, mask = measure("downsample:4", x)
    assert mask.all()
    assert y[0, 0, 0] == y[3, 3, 0] == np.rint(x[:4, :4].mean())
    with pytest.raises(ConfigError, match="factor is 5, which does not divide images of 12x8"):
        measure("downsample:5")


def test_blur_is_a_gaussian():
    from scipy.ndimage import gaussian_filter

    x = np.random.default_rng(0).random(SHAPE, np.float32)
    expected = gaussian_filter(x[..., 0], 1.5, mode="nearest", truncate=4.0)
    found = measure("blur:1.5", x, values=FLOATS).y[..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_noise_has_its_moments():
    grey = np.full((100, 100, 1), 100, np.uint8)
    y, mask = measure("noise:0.1", grey, shape=grey.shape)
    assert mask.all()
    assert abs(y.mean() - 100) < 1
    assert abs(y.std() - 25.5) < 1
    counts = measure("noise,distribution=poisson,peak=50", grey, shape=grey.shape).y / 255 * 50
    assert abs(counts.mean() - 100 / 255 * 50) < 0.2
    assert abs(counts.var() - 100 / 255 * 50) < 1


def test_a_sequence_leaves_what_is_unknown_alone():
    x = np.full(SHAPE, 100, np.uint8)
    y, mask = measure("columns:0.5,fill=9+noise:0.1", x)
    assert len(lines(mask)) == 4
    assert set(y[~mask].ravel()) == {9}
    assert len(set(y[mask].ravel())) > 5
    listed = measure([{"name": "columns", "known": 0.5, "fill": 9}, "noise:0.1"], x)
    np.testing.assert_array_equal(listed.y, y)
    made = create_component("measurement", "columns:0.5+noise:0.1").build(SHAPE, UINT8)
    assert not made.exact


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ("colums:0.25", "no measurement named 'colums'.*Did you mean 'columns'"),
        ("columns:1.5", "a fraction is above 0 and at most 1"),
        ("columns:0", "a number of lines is 1 or more"),
        ("columns:many", "known: 'many' is no number of lines"),
        ("columns:0.5,fil=3", "fil"),
        ("columns:0.5,fill", "'fill', which is not of the form OPTION=VALUE"),
        ("sequence:2", "'sequence' has no value of its own"),
        ("columns:9", "known is 9; the images have 8 columns"),
        ("columns,lines=[8]", "lines name 8; the images have 8 columns, from 0 to 7"),
        ("mask:1.0", "less than 1"),
        ("columns:0.5+", "'' names no measurement"),
        ("", "'' names no measurement"),
        ("columns:", "'columns:' is not of the form NAME:VALUE"),
        ("columns:2,known=3", "gives known twice"),
        ("columns:2,least=5", "least is 5, above known, 2"),
        ("columns:0.5,fill=.nan", "the option 'fill' is nan; expected finite numbers"),
        ("columns:0.5,fill=300", "fill is 300; the images' values are 0 to 255"),
        ("mask:0.5,fill=-5", "fill is -5; the images' values are 0 to 255"),
        ("noise:.inf", "the option 'std' is inf; expected finite numbers"),
        ("noise:1e308", "std"),
        ("blur:.nan", "the option 'sigma' is nan; expected finite numbers"),
    ],
)
def test_an_impossible_one_is_refused(chosen, sentence):
    with pytest.raises(ConfigError, match=f"(?s){sentence}"):
        measure(chosen)


@pytest.mark.parametrize(
    "chosen", ["columns:0.5", "mask:0.5", "downsample:2", "blur:1", "noise:0.1", "blur:1+noise:0.1"]
)
def test_what_is_no_image_or_no_generator_is_refused(chosen):
    image, rng = np.zeros(SHAPE, np.uint8), np.random.default_rng(0)
    measurement = create_component("measurement", chosen).build(SHAPE, UINT8)
    for wrong in (image[..., 0], image[None], image[:8], image.tolist()):
        with pytest.raises(BadInputError, match=r"The image to measure .*expected.*\[12, 8, 1\]"):
            measurement.measure(wrong, rng)
    with pytest.raises(BadInputError, match="rng is 0; expected a NumPy generator"):
        measurement.measure(image, 0)
