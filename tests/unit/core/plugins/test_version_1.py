"""Components written for version 1 of the plugin interface, as third parties have them."""

import numpy as np
import pydantic
import pytest

import hvae_core as hvae
from hvae_core.data import ArraySource
from hvae_core.errors import ConfigError
from hvae_core.interfaces import UINT8, Dataset, DatasetInfo, ImageValues, Likelihood
from hvae_core.plugins import ComponentSpec, hookimpl, manager

SIZES = {
    "resolutions": [4, 1],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 2,
    "decoder_middle_width": 2,
    "latent_width": 1,
    "encoder_blocks": [1, 0],
    "decoder_blocks": 1,
    "readout": {"kind": "features"},
}


class Nothing(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class Softmax(Likelihood):
    """Its builder knows options and shape; its pixels are 0 or 255."""

    levels = 2

    def __init__(self, options, image_shape):
        self.parameters = image_shape[-1]

    def log_prob(self, x, parameters):
        from keras import ops

        sign = ops.cast(x, "float32") * (2 / 255) - 1
        return ops.sum(-ops.softplus(-sign * parameters), axis=(1, 2, 3))

    def noise_channels(self):
        return self.parameters

    def sample(self, parameters, noise, temperature=1.0):
        from keras import ops

        return ops.cast(
            ops.where(ops.cast(noise, "float32") < ops.sigmoid(parameters), 255, 0), "uint8"
        )

    def mean(self, parameters):
        from keras import ops

        return 255 * ops.sigmoid(parameters)


class Checkers(Dataset):
    """It says nothing of values."""

    info = DatasetInfo("checkers", "made here", "1", "CC0-1.0")
    splits = ("train", "test")
    shape = (4, 4, 1)

    def __init__(self, options):
        pass

    def load(self, split):
        images = np.indices((4, 4)).sum(0) % 2 * 255
        return ArraySource(np.tile(images.astype(np.uint8)[None, ..., None], (8, 1, 1, 1)))


class Plugin:
    """What registers a component."""

    def __init__(self, kind, name, builder):
        self.__name__ = name
        self.spec = ComponentSpec(
            kind=kind, name=name, summary="", builder=builder, config=Nothing, api_version=1
        )

    @hookimpl
    def hvae_component(self):
        return self.spec


@pytest.fixture(autouse=True)
def _registered():
    own = [Plugin("likelihood", "softmax-1", Softmax), Plugin("dataset", "checkers-1", Checkers)]
    for plugin in own:
        manager().register(plugin)
    yield
    for plugin in own:
        manager().unregister(plugin.spec.kind, plugin.spec.name)


def test_a_data_set_and_a_likelihood_of_version_1_train_and_are_measured(tmp_path):
    config = {
        "model": SIZES,
        "likelihood": "softmax-1",
        "data": "checkers-1",
        "train": {"batch_size": 4, "steps": 2, "sample_epochs": 0, "report": False},
    }
    hvae.train(config, tmp_path / "run")
    model = hvae.load(tmp_path / "run")
    assert model.image_values == UINT8
    assert model.likelihood.values == UINT8
    assert model.sample(2).dtype == np.uint8
    figures = hvae.evaluate(model, Checkers(None))
    assert figures["unit"] == "bits/dim"
    assert np.isfinite(figures["bits_per_dim"])


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_likelihood_of_version_1_is_given_nothing_but_uint8(dtype):
    data = {"name": "arrays", "files": "x.npy", "values": {"dtype": dtype}}
    with pytest.raises(ConfigError, match=rf"'softmax-1' works on images of uint8.*gives {dtype}"):
        hvae.build({"model": SIZES, "likelihood": "softmax-1", "data": data})


def test_a_data_set_of_version_1_is_no_match_for_a_density():
    with pytest.raises(ConfigError, match=r"'gaussian' works on images of float32.*gives uint8"):
        hvae.build({"model": SIZES, "likelihood": "gaussian", "data": "checkers-1"})


def test_a_likelihood_of_version_2_is_told_the_values():
    data = {"name": "python", "values": {"dtype": "float32", "range": [-1, 3], "unit": "m"}}
    model = hvae.build({"model": SIZES, "likelihood": "gaussian", "data": data})
    assert model.likelihood.values == ImageValues("float32", -1.0, 3.0, "m")
