"""Models of images that are no squares, from end to end."""

import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.config import ModelConfig, create_component
from hvae_core.errors import ConfigError
from hvae_core.weights import weight_names

pytestmark = pytest.mark.every_backend

MODEL = {
    "resolutions": [[24, 16], [12, 4], 4, [1, 2]],
    "image_channels": 1,
    "width": 4,
    "encoder_middle_width": 2,
    "decoder_middle_width": 2,
    "latent_width": 2,
    "encoder_blocks": [1, 0, 1, 0],
    "decoder_blocks": [1, 0, 1, 1],
    "readout": {"width": 4, "middle_width": 2, "blocks": 1},
}
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 24, 16, 1), dtype=np.uint8)
TRAIN = {
    "batch_size": 4, "steps": 2, "epochs": None, "report": False, "tensorboard": False,
    "sample_epochs": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    hvae.train({"model": MODEL, "likelihood": "bernoulli", "train": TRAIN}, folder, dataset=IMAGES)
    return folder


def test_it_trains_is_measured_loaded_and_saved(folder, tmp_path):
    model = hvae.load(folder)
    assert model.image_shape == (24, 16, 1)
    assert model.latent_shapes == [(1, 2, 2), (4, 4, 2), (24, 16, 2)]
    figures = hvae.evaluate(model, IMAGES)
    assert figures["units"] == [4, 32, 768]
    assert np.isfinite(figures["elbo"])
    assert model.sample(2).shape == (2, 24, 16, 1)
    again = hvae.load(model.save(tmp_path / "preset"))
    np.testing.assert_array_equal(again.elbo(IMAGES[:2]).elbo, model.elbo(IMAGES[:2]).elbo)
    np.testing.assert_array_equal(
        model.decode(model.encode(IMAGES[:2])).shape, model.reconstruct(IMAGES[:2]).shape
    )
    names = weight_names(model)
    assert names["decoder.bias.24x16"].shape == (1, 24, 16, 4)
    assert names["decoder.bias.4"].shape == (1, 4, 4, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"readout": {"kind": "features"}, "patch_size": 2, "resolutions": [[12, 8], [4, 8], 4, 2],
         "pool_order": "project-first", "mixing_block": 0},
        {"readout": {"width": 4, "middle_width": 2, "blocks": 0, "upsampling": "bilinear"},
         "attention": {"name": "davi", "query_width": 2}},
        {"flow": {"name": "conv-sylvester", "channels": 4, "levels": 3, "terms": 9},
         "resolutions": [[24, 16], [12, 8]], "encoder_blocks": 1, "decoder_blocks": 1},
    ],
    ids=["patches", "attention", "flow"],
)  # fmt: skip
def test_every_part_takes_it(changes):
    model = hvae.build({"model": {**MODEL, **changes}, "likelihood": "bernoulli"})
    assert model.image_shape == (24, 16, 1)
    assert np.isfinite(model.elbo(IMAGES[:2]).elbo).all()
    assert model.sample(1).shape == (1, 24, 16, 1)


def test_a_square_may_be_said_in_both_ways():
    pairs = ModelConfig(resolutions=[[8, 8], [4, 4], [4, 2]])
    assert pairs.resolutions == [8, 4, (4, 2)]
    assert [stage.label for stage in pairs.stages] == ["8", "4", "4x2"]
    assert [stage.kernel_size for stage in ModelConfig(resolutions=[[4, 2], 2]).stages] == [3, 1]
    bias = ModelConfig(resolutions=[[128, 64], [64, 32]]).stages
    assert [stage.learned_bias for stage in bias] == [False, True]


@pytest.mark.parametrize("resolutions", [[[24, 16], [12, 7]], [[8, 4], [4, 8]], [8, [8, 12]]])
def test_each_size_divides_the_finer_one_along_both_axes(resolutions):
    with pytest.raises(ConfigError, match=r"model.resolutions has .* after .* must divide the one"):
        hvae.build({"model": {**MODEL, "resolutions": resolutions}})


def test_a_list_of_three_is_no_size():
    with pytest.raises(ConfigError, match=r"resolutions.0 is .*; expected an integer or \[height"):
        hvae.build({"model": {**MODEL, "resolutions": [[24, 16, 1], 4]}})


def test_the_original_s_format_has_squares_alone():
    importer = create_component("import", "openai-vdvae").build()
    config = hvae.build({"model": MODEL, "likelihood": "bernoulli"}).config
    assert not importer.describes(config)
