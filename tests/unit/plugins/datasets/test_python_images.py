import numpy as np
import pytest

from hvae_core.config import parse_config
from hvae_core.data.given import train_on
from hvae_core.errors import ConfigError, DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), dtype=np.uint8)
CONFIG = parse_config({"model": {"resolutions": [8, 1], "image_channels": 1}})


def dataset(**options):
    return train_on(CONFIG, IMAGES, [f"data.{key}={value}" for key, value in options.items()])[1]


def test_flips_in_training_only():
    flipping = dataset(flip="true")
    images = flipping.transform(IMAGES, np.random.default_rng(0), True)
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(images, IMAGES, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(images, IMAGES, strict=True)]
    assert sum(mirrored) + sum(kept) == 64
    assert 10 < sum(mirrored) < 54
    np.testing.assert_array_equal(
        flipping.transform(IMAGES, np.random.default_rng(0), False), IMAGES
    )


def test_binarizations():
    drawn = dataset(binarization="dynamic")
    np.testing.assert_array_equal(drawn.load("train").batch(np.arange(64)), IMAGES)
    first, second = (drawn.transform(IMAGES, np.random.default_rng(seed), False) for seed in (0, 1))
    assert set(np.unique(first)) == {0, 255}
    assert (first != second).any()
    once = dataset(binarization="static").load("train")
    images = once.batch(np.arange(64))
    assert set(np.unique(images)) == {0, 255}
    assert abs(images.mean() - IMAGES.mean()) < 5
    np.testing.assert_array_equal(once.batch(np.array([9, 3])), images[[9, 3]])
    thresholded = dataset(binarization="threshold").load("train").batch(np.arange(64))
    np.testing.assert_array_equal(thresholded, np.where(IMAGES >= 128, 255, 0))


def test_without_the_images_it_says_what_to_give():
    config, _ = train_on(CONFIG, IMAGES)
    with pytest.raises(DataError, match=r"a numpy.ndarray, .* dataset=images"):
        parse_config(config.to_dict()).data.build()
    with pytest.raises(ConfigError, match=r"stands for images that hvae\.train"):
        parse_config({"data": "python"})
