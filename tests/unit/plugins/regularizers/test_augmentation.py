"""The geometry and colours of the augmented copies. NumPy alone."""

import colorsys

import numpy as np
import pytest

from hvae_core.config import Config
from hvae_core.data import open_dataset
from hvae_core.interfaces import Invariance
from hvae_plugins.regularizers.cr_vae import CrVaeConfig
from hvae_plugins.regularizers.cr_vae.augmentation import (
    Augmentation,
    inverse_matrices,
    jitter,
    quantised,
    resample,
    turned_hues,
)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3)).astype(np.uint8)


def matrices(rows, degrees=0.0, size=1.0, mirrored=False):
    return inverse_matrices(
        np.full(rows, np.deg2rad(degrees)), np.full(rows, size), np.full(rows, mirrored)
    )


def moved(images, shift=(0.0, 0.0), border="background", background=0, **map_):
    rows = len(images)
    shifts = np.tile(np.array(shift, float), (rows, 1))
    return resample(images, matrices(rows, **map_), shifts, border, background)


@pytest.mark.parametrize("border", ["background", "edge", "reflect"])
def test_the_identity_is_exact(images, border):
    np.testing.assert_array_equal(moved(images, border=border), images)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_rot90(images, turns):
    expected = np.rot90(images, turns, axes=(1, 2))
    np.testing.assert_allclose(moved(images, degrees=90 * turns), expected, atol=1e-3)


def test_a_mirror_is_exact(images):
    np.testing.assert_array_equal(moved(images, mirrored=True), images[:, :, ::-1])


def test_upside_down_is_exact(images):
    rows = len(images)
    upside_down = inverse_matrices(
        np.zeros(rows), np.ones(rows), np.zeros(rows, bool), np.ones(rows, bool)
    )
    got = resample(images, upside_down, np.zeros((rows, 2)))
    np.testing.assert_array_equal(got, images[:, ::-1])


def test_hues_are_those_of_colorsys(images):
    turns = np.array([0.2, -0.35, 0.5])
    got = turned_hues(images.astype(np.float32), turns)
    for row, turn in enumerate(turns):
        for pixel, turned in zip(images[row].reshape(-1, 3), got[row].reshape(-1, 3), strict=True):
            hue, *rest = colorsys.rgb_to_hsv(*(pixel / 255.0))
            expected = colorsys.hsv_to_rgb((hue + turn) % 1.0, *rest)
            np.testing.assert_allclose(turned, 255.0 * np.array(expected), atol=0.02)
    grey = np.full((1, 2, 2, 1), 7.0, np.float32)
    np.testing.assert_array_equal(turned_hues(grey, np.array([0.3])), grey)


def test_the_original_s_augmentation_can_be_said(images):
    """Simple affine maps with vertical flips, its jitter and black outside."""
    config = CrVaeConfig(
        augmentation="small", flip=False, vertical_flip=True, brightness=0.2, contrast=0.5,
        hue=0.2, border="background",
    )  # fmt: skip
    chosen = Augmentation.chosen(config, Invariance(mirrored=True))
    expected = Augmentation(
        15, 0.05, 0.1, vertical_flip=True, colour=(0.2, 0.5, 0.0), hue=0.2, border="background"
    )
    assert chosen == expected
    copies = chosen(images, np.random.default_rng(0))
    assert copies.shape == images.shape
    assert 0.0 <= copies.min() < copies.max() <= 255.0


def test_half_of_the_images_are_upside_down_and_the_other_draws_stay(images):
    many = np.repeat(images, 40, axis=0)
    draws = [
        Augmentation(rotation=20, vertical_flip=flag)(many, np.random.default_rng(0))
        for flag in (False, True)
    ]
    same = np.array([np.array_equal(a, b) for a, b in zip(*draws, strict=True)])
    assert 40 < same.sum() < 80


def test_the_mirror_comes_before_the_turn(images):
    expected = np.rot90(images[:, :, ::-1], axes=(1, 2))
    np.testing.assert_allclose(moved(images, degrees=90, mirrored=True), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("border", "mode"), [("background", "constant"), ("edge", "edge"), ("reflect", "reflect")]
)
def test_shifts_by_whole_pixels_are_padding(images, border, mode):
    pads = ((0, 0), (2, 0), (0, 3), (0, 0))
    values = {"constant_values": 7} if mode == "constant" else {}
    expected = np.pad(images, pads, mode=mode, **values)[:, :6, 3:]
    np.testing.assert_array_equal(moved(images, (2, -3), border, background=7), expected)


def test_half_a_pixel_is_the_mean_of_two(images):
    x = images.astype(float)
    got = moved(images, (0.0, 0.5), "edge")
    np.testing.assert_allclose(got[:, :, 1:], (x[:, :, 1:] + x[:, :, :-1]) / 2, atol=1e-3)
    np.testing.assert_allclose(got[:, :, 0], x[:, :, 0], atol=1e-3)


def test_twice_the_size_shows_the_middle():
    ramp = np.arange(8.0)[None, :, None, None] * np.ones((1, 1, 8, 1)) * 16
    got = moved(ramp.astype(np.uint8), size=2.0)
    places = 3.5 + (np.arange(8) - 3.5) / 2
    np.testing.assert_allclose(got[0, :, 4, 0], 16 * places, atol=1e-3)


def test_a_rotation_about_a_point_fits_one_resampling_by_scipy(images):
    ndimage = pytest.importorskip("scipy.ndimage")
    matrix = matrices(1, degrees=25, size=1.2)[0]
    centre = np.array([2.5, 2.5])
    offset = centre - matrix @ (centre + np.array([0.7, -0.4]))
    expected = np.stack(
        [
            ndimage.affine_transform(
                images[0, :, :, c].astype(float), matrix, offset, order=1, mode="nearest"
            )
            for c in range(3)
        ],
        -1,
    )
    got = moved(images[:1], (0.7, -0.4), "edge", degrees=25, size=1.2)[0]
    np.testing.assert_allclose(got, expected, atol=1e-2)


def test_a_reflection_reaches_further_than_the_image(images):
    expected = np.pad(images, ((0, 0), (0, 0), (14, 0), (0, 0)), mode="reflect")[:, :, :6]
    np.testing.assert_array_equal(moved(images, (0, 14), "reflect"), expected)
    one = images[:, :1, :1]
    np.testing.assert_array_equal(moved(one, (3, 3), "reflect"), one)


def test_colours():
    grey = np.full((1, 2, 2, 3), 100.0, np.float32)
    picture = np.random.default_rng(0).uniform(50, 90, (1, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(jitter(grey, np.array([[1.5, 0.7, 0.2]])), 150, rtol=1e-5)
    got = jitter(picture, np.array([[1.0, 1.4, 1.0]]))
    assert got.mean() == pytest.approx(picture.mean(), rel=1e-4)
    assert got.std() == pytest.approx(1.4 * picture.std(), rel=1e-4)
    pale = jitter(picture, np.array([[1.0, 1.0, 0.0]]))
    np.testing.assert_allclose(pale, pale[..., :1].repeat(3, -1), rtol=1e-5)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_levels_are_kept_and_others_go_to_the_nearest(levels):
    values = np.rint(np.arange(levels) * (255 / (levels - 1)))
    np.testing.assert_array_equal(quantised(values.astype(np.float32), levels), values)
    near = np.clip(values + 0.3 * 255 / (levels - 1), 0, 255).astype(np.float32)
    np.testing.assert_array_equal(quantised(near, levels), values)


def test_ranges_are_kept_and_used():
    """Of 2,000 draws, the largest is near the range's end and none beyond."""
    rng = np.random.default_rng(0)
    side = 41
    dot = np.zeros((2000, side, side, 1), np.uint8)
    dot[:, 18:23, 18:23] = 255
    places = np.stack(np.mgrid[:side, :side], -1) - (side - 1) / 2

    def centres(augmentation):
        mass = augmentation(dot, rng)[..., 0]
        return np.einsum("bhw,hwk->bk", mass, places) / mass.sum((1, 2))[:, None]

    shifts = np.abs(centres(Augmentation(shift=0.1, border="background")))
    assert 0.095 * side < shifts.max() <= 0.1 * side + 0.01
    bars = np.zeros((2000, side, side, 1), np.uint8)
    bars[:, 18:23, 8:33] = 255
    mass = Augmentation(rotation=30, scale=0.25, border="background")(bars, rng)[..., 0]
    second = np.einsum("bhw,hwk,hwl->bkl", mass, places, places) / mass.sum((1, 2))[:, None, None]
    angles = np.rad2deg(np.arctan2(2 * second[:, 0, 1], second[:, 1, 1] - second[:, 0, 0])) / 2
    assert 28.5 < np.abs(angles).max() < 30.5
    sizes = np.sqrt(mass.sum((1, 2)) / bars[0].sum())
    assert 0.74 < sizes.min() < 0.77
    assert 1.23 < sizes.max() < 1.26


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("digits", Augmentation(15, 0.05, 0.1, border="background")),
        ("mnist", Augmentation(30, 0.1, 0.25, border="background")),
        ("cifar10", Augmentation(15, 0.05, 0.1, flip=True)),
        ({"name": "cifar10", "flip": False}, Augmentation(15, 0.05, 0.1)),
        ({"name": "image-folder", "root": "x"}, Augmentation(15, 0.05, 0.1)),
    ],
)
def test_the_data_set_says_what_is_unset(data, expected):
    dataset = open_dataset(Config.model_validate({"data": data}).data)
    assert Augmentation.chosen(CrVaeConfig(), dataset.invariance) == expected


def test_what_is_set_wins():
    config = CrVaeConfig(augmentation="large", shift=0.0, flip=False, border="edge", colour=0.2)
    photographs = Invariance(mirrored=True)
    expected = Augmentation(30, 0.0, 0.25, colour=(0.2, 0.2, 0.2), border="edge")
    assert Augmentation.chosen(config, photographs) == expected
    none = Augmentation.chosen(CrVaeConfig(augmentation="none"), photographs)
    assert none == Augmentation()
