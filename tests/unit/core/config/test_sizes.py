"""What no machine can build is refused when the configuration is read, and at once."""

import time

import pytest

from hvae_core.config import parse_config
from hvae_core.errors import ConfigError

HUGE = 10**20


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ({"width": 10**9}, "model.width is 1000000000"),
        ({"width": [64, 64, 64, 64, HUGE]}, "model.width.4 is 1"),
        ({"decoder_blocks": HUGE}, "model.decoder_blocks is 1"),
        ({"encoder_blocks": HUGE}, "model.encoder_blocks is 1"),
        ({"decoder_blocks": 4000}, "come to 20015 layers"),
        ({"encoder_middle_width": 60_000, "width": 60_000}, "parameters"),
        ({"latent_width": HUGE}, "model.latent_width"),
        ({"mixing_block": HUGE}, "model.mixing_block"),
        ({"image_channels": HUGE}, "model.image_channels"),
        ({"patch_size": HUGE}, "model.patch_size"),
        ({"resolutions": [HUGE, 1]}, "model.resolutions"),
        ({"resolutions": [4096, 1], "patch_size": 64}, "images of 262144 pixels"),
        ({"resolutions": [16384, 1], "width": 1024}, "values an image at one scale"),
        ({"readout": {"blocks": HUGE}}, "model.readout.blocks"),
        ({"readout": {"blocks": 4000, "width": 60_000, "middle_width": 60_000}}, "parameters"),
        ({"flow": {"name": "sylvester", "flows": HUGE}}, r"model.flow: the option .* 1e\+20"),
        ({"flow": {"name": "sylvester", "flows": [1, 1, 1, 1, 10**6]}}, "'flows' is 1000000"),
        ({"attention": {"name": "davi", "queries": 10**9}}, "attention: the option 'queries'"),
    ],
)  # fmt: skip
def test_a_model_that_is_too_large(model, names):
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=names) as caught:
        parse_config({"model": model})
    assert time.monotonic() - begun < 5
    assert len(str(caught.value)) < 400


def test_a_likelihood_that_is_too_large():
    with pytest.raises(ConfigError, match="likelihood: the option 'mixtures' is 1000000000"):
        parse_config({"likelihood": {"name": "logistic-mixture", "mixtures": 10**9}})
