"""A configuration of an older format describes what it described: its numbers stay."""

import pytest
import yaml

from hvae_core.config import Config, dump_yaml, parse_config
from hvae_core.config.older_formats import FORMAT, upgraded


def model_of(**model):
    return parse_config({"format": 1, "model": model}).model


def test_what_is_written_has_today_s_format_and_reads_back():
    config = parse_config({"format": 1, "model": {"large_kernels": True}})
    assert config.format == FORMAT
    assert parse_config({"format": 1.0, "model": {"large_kernels": True}}) == config
    assert parse_config(yaml.safe_load(dump_yaml(config))) == config
    assert Config.model_validate({"format": 1, "model": {"large_kernels": True}}) == config


def test_what_has_no_format_has_today_s():
    assert parse_config({}) == parse_config({"format": FORMAT})
    assert not parse_config({}).model.readout.last_activation


def test_the_readout_s_last_activation_stays():
    assert model_of().readout.last_activation
    assert not model_of(readout={"kind": "features"}).readout.last_activation
    assert not model_of(readout={"last_activation": False}).readout.last_activation


def test_bilinear_upsampling_stays_in_steps_and_large_kernels_in_blocks():
    model = model_of(readout={"upsampling": "bilinear"}, large_kernels=True)
    assert (model.readout.upsampling, model.large_kernels) == ("bilinear-steps", "blocks")


def test_one_depthwise_convolution_stays_one():
    assert model_of(conv="depthwise5").conv == "depthwise5-once"
    block = model_of(block={"name": "bottleneck", "conv": "depthwise5"}).block
    assert block.options.conv == "depthwise5-once"
    assert parse_config({"model": {"conv": "depthwise5"}}).model.conv == "depthwise5"


def test_a_coarsest_scale_without_a_latent_layer_still_starts_from_zeros():
    blocks = [1, 1, 1, 1, 0]
    assert model_of(decoder_blocks=blocks).top == "zeros"
    assert model_of(decoder_blocks=1).top == "learned"
    assert parse_config({"model": {"decoder_blocks": blocks}}).model.top == "learned"


def test_kl_balancing_stays_by_whole_latents():
    train = parse_config({"format": 1, "train": {"kl_balancing_steps": 5}}).train
    assert not train.kl_balancing_scaled
    assert parse_config({"train": {"kl_balancing_steps": 5}}).train.kl_balancing_scaled


def test_skipping_acts_from_the_first_update_and_beta_s_cycles_share_a_warm_up():
    train = parse_config({"format": 1, "train": {"beta_warmup": 9, "beta_cycles": 2}}).train
    assert train.skip_start_step == 0
    assert train.beta_cycles_share_warmup
    today = parse_config({"train": {"beta_warmup": 9, "beta_cycles": 2}}).train
    assert today.skip_start_step is None
    assert not today.beta_cycles_share_warmup


def test_held_out_images_stay_positions():
    folder = {"name": "image-folder", "root": "photos"}
    assert parse_config({"format": 1, "data": folder}).data.options.split_by == "position"
    assert parse_config({"data": folder}).data.options.split_by == "content"
    by_path = {"format": 1, "data": {**folder, "split_by": "path"}}
    assert parse_config(by_path).data.options.split_by == "path"
    assert upgraded({"format": 1, "data": "arrays"})["data"]["split_by"] == "position"
    assert upgraded({"format": 1, "data": "parquet"})["data"]["test_fraction"] == 0
    options = parse_config({"format": 1, "data": folder}).data.options
    assert (options.background, options.reduce_bits) == ("drop", True)
    assert upgraded({"format": 1, "data": "digits"})["data"] == "digits"


@pytest.mark.parametrize("older", [1, 2])
@pytest.mark.parametrize("flow", ["conv-sylvester", {"name": "conv-sylvester", "levels": 2}])
def test_the_levels_of_a_flow_still_see_their_context_turned(older, flow):
    def of(**values):
        return parse_config({**values, "model": {"flow": flow}}).model.flow.options

    assert not of(format=older).orient_context
    assert of(format=older).levels == of().levels
    assert of().orient_context
    said = {"format": older, "model": {"flow": {"name": "conv-sylvester", "orient_context": True}}}
    assert parse_config(said).model.flow.options.orient_context


@pytest.mark.parametrize("flow", [None, "sylvester", 3])
def test_other_flows_stay_as_they_are(flow):
    assert upgraded({"format": 2, "model": {"flow": flow}})["model"] == {"flow": flow}


def test_an_override_is_read_in_today_s_terms():
    model = parse_config({"format": 1}, "model.large_kernels=true").model
    assert model.large_kernels is True
    train = parse_config({"format": 1}, "train.skip_start_epoch=3").train
    assert (train.skip_start_step, train.skip_start_epoch) == (None, 3.0)


@pytest.mark.parametrize(
    "values", [{"format": True}, {"format": "1"}, {"format": [1]}, {"format": 4}]
)
def test_other_formats_are_left_to_the_validation(values):
    assert upgraded(values) == values


def test_the_values_that_were_given_stay_as_they_are():
    values = {"format": 1, "model": {"readout": {}}, "train": None}
    upgraded(values)
    assert values == {"format": 1, "model": {"readout": {}}, "train": None}
