"""Image files of the user's, as the model takes images."""

import numpy as np
import pytest
from PIL import Image

from hvae_core.cli.images import read_image
from hvae_core.config import parse_config
from hvae_core.images.user_images import FittedImage, as_trained_on


def configuration(kind):
    return parse_config(
        {
            "model": {"resolutions": [32, 1], "image_channels": 1},
            "likelihood": "bernoulli" if kind != "none" else "logistic-mixture",
            "data": {"name": "mnist", "binarization": kind},
        }
    )


@pytest.mark.parametrize("kind", ["dynamic", "static", "threshold", "none"])
def test_images_are_binarized_as_in_training(kind):
    grey = FittedImage(np.full((32, 32, 1), 200, np.uint8), "Turned grey.")
    config = configuration(kind)
    seen = as_trained_on(grey, config, seed=1)
    if kind == "none":
        assert seen is grey
        return
    assert set(np.unique(seen.pixels)) <= {0, 255}
    assert seen.note == "Turned grey. Binarized."
    share = (seen.pixels == 255).mean()
    assert share == 1 if kind == "threshold" else abs(share - 200 / 255) < 0.05
    assert as_trained_on(seen, config, seed=1) is seen


def test_files_named_on_the_command_line_are_binarized_too(tmp_path):
    class Model:
        image_shape = (32, 32, 1)
        config = configuration("dynamic")

    Image.fromarray(np.full((40, 40), 100, np.uint8)).save(tmp_path / "grey.png")
    pixels = read_image(str(tmp_path / "grey.png"), Model())
    assert pixels.shape == (32, 32, 1)
    assert set(np.unique(pixels)) == {0, 255}
