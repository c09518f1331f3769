"""The earlier port's options, one by one: ours, its default and ours, and why they differ.

The page of the options' sources names each of them.
"""

from pathlib import Path
from typing import Any

import pytest

from hvae_core.config import Config, parse_config
from hvae_core.config.loading import create_component
from hvae_core.errors import ConfigError

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "option-sources.md").read_text("utf-8")
SAME: Any = object()
A_SCALE = "the port's list is for six scales; one value fits any number of them"
LN_2 = 0.6931471805599453

#: the port's option, its default, ours, our default where it is another, and why
ROWS = [
    ("b_act", "silu", "model.block_activation", SAME, ""),
    ("p_act", "silu", "model.pool_activation", SAME, ""),
    ("block_gn", "none", "model.norm", SAME, ""),
    ("depthwise", "dense", "model.conv", SAME, ""),
    ("num_output_mixtures", 10, "likelihood.mixtures", SAME, ""),
    ("init_zeros", "learned", "model.top", SAME, ""),
    ("increase_kernelsize", False, "model.large_kernels", SAME, ""),
    ("stage_in_width", 64, "model.width", SAME, ""),
    ("enc_middle_width", 32, "model.encoder_middle_width", SAME, ""),
    ("dec_middle_width", 32, "model.decoder_middle_width", SAME, ""),
    ("z_width", 16, "model.latent_width", SAME, ""),
    ("enc_num_blocks", 3, "model.encoder_blocks", SAME, ""),
    ("dec_num_blocks", 3, "model.decoder_blocks", SAME, ""),
    ("output_blocks", 3, "model.readout.blocks", SAME, ""),
    ("z_out_width", 64, "model.readout.width", SAME, ""),
    ("z_out_middle_width", 32, "model.readout.middle_width", SAME, ""),
    ("gradient_smoothing", LN_2, "model.softplus_beta", SAME, ""),
    ("num_flows", [0, 0, 2, 8, 12, 16], "flow.sylvester.flows", 4, A_SCALE),
    ("flow_in_ch", [0, 0, 1, 2, 4, 64], "flow.sylvester.context_channels", 2, A_SCALE),
    ("num_ortho_vecs", [0, 0, 8, 8, 8, 8], "flow.sylvester.orthogonal_vectors", 8, A_SCALE),
    ("spectral_norm", True, "flow.conv-sylvester.spectral_norm", SAME, ""),
    ("convsylv_channels", 128, "flow.conv-sylvester.channels", SAME, ""),
    ("convsylv_flows_per_stage", 1, "flow.conv-sylvester.repeats", SAME, ""),
    ("convsylv_splitfirst", [1, 1, 0, 0, 0, 0], "flow.conv-sylvester.split_first", False, A_SCALE),
    ("convsylv_stage_limit", 3, "flow.conv-sylvester.levels", SAME, ""),
    ("query_width", 20, "attention.davi.query_width", SAME, ""),
    ("num_queries", 1, "attention.davi.queries", SAME, ""),
    ("batch_size", 32, "train.batch_size", SAME, ""),
    ("batch_size_div", 1, "train.accumulate", SAME, ""),
    ("cr_lambda", 0.1, "regularizer.cr-vae.weight", SAME, ""),
    ("cr_duplicate_noise", True, "regularizer.cr-vae.shared_noise", SAME, ""),
    ("early_stopping", None, "train.patience", SAME, ""),
    ("learning_rate", 1e-3, "train.learning_rate", SAME, ""),
    ("learning_rate_end", 1e-6, "train.final_learning_rate", SAME, ""),
    ("lr_warmup_epochs", 1, "train.warmup_epochs", None, "1 where neither it nor steps are given"),
    ("scheduler", "cosine", "train.schedule", SAME, ""),
    ("optimizer", "adamax", "train.optimizer", SAME, ""),
    ("weight_decay", 1e-4, "train.weight_decay", SAME, ""),
    ("use_ema", 0.9999, "train.ema_decay", SAME, ""),
    ("gradient_clipnorm", None, "train.clip_norm", SAME, ""),
    ("gradient_skipnorm", 300.0, "train.skip_norm", SAME, ""),
    ("beta", 1.0, "train.beta", SAME, ""),
    ("beta_warmup_epochs", 0, "train.beta_warmup_epochs", None, "0 where no warm-up is given"),
    ("number_cycles", 0, "train.beta_cycles", SAME, ""),
    ("jit", True, "train.compile", SAME, ""),
]

#: the port's options without a default to compare: ours, and what differs
OTHERS = [
    ("backend", "--backend", "KERAS_BACKEND says it too; all three train"),
    ("dataset", "data.name", "any data set that is registered, with options of its own"),
    ("gpu", "train.devices", "a list of indices; unset, all of them on JAX"),
    ("save", "--output", "a run is always kept"),
    ("save_dir", "--output", "by default runs/NAME-TIME"),
    ("config", "hvae train FILE", "the command line wins, unknown keys are errors"),
    ("cr_vae", "regularizer", "off where none is named"),
    ("epochs", "train.epochs", "or train.steps, train.minutes; one of them"),
    ("cyclic_beta", "train.beta_cycles", "more than 0 of them"),
]
#: the port's option and value, and how ours is said
VALUES = [
    ("scheduler", "none", "train.schedule", "constant"),
    ("scheduler", "exp", "train.schedule", "exponential"),
    ("scheduler", "cosd", "train.schedule", "cosine"),
    ("scheduler", "cosdr", "train.schedule", "cosine-restarts"),
    ("optimizer", "adamax", "train.optimizer", "adamax"),
    ("optimizer", "adamw", "train.optimizer", "adamw"),
    ("optimizer", "sgd", "train.optimizer", "sgd"),
    ("block_gn", True, "model.norm", "group"),
    ("depthwise", True, "model.conv", "depthwise5"),
    ("init_zeros", True, "model.top", "zeros"),
    ("increase_kernelsize", True, "model.large_kernels", True),
    ("use_ema", False, "train.ema_decay", 0.0),
    ("gradient_skipnorm", 0, "train.skip_norm", 0.0),
]
#: what the tables forbid: options that are refused, and a word of the message
REFUSED = [
    ({"likelihood.mixtures": 0}, "likelihood.mixtures"),
    ({"model.norm": "group", "model.width": 12}, "multiple of 8"),
    ({"model.decoder_blocks": 0}, "at least one latent layer"),
    ({"model.attention": "davi", "model.width": [8, 8, 8, 8, 16]}, "equal at all scales"),
    ({"model.softplus_beta": 0}, "model.softplus_beta"),
    ({"train.batch_size": 10, "train.accumulate": 4}, "accumulate"),
    ({"train.learning_rate": 0}, "train.learning_rate"),
    ({"train.learning_rate": 1e-4, "train.final_learning_rate": 1e-3}, "final_learning_rate"),
    ({"train.epochs": 2, "train.steps": 5}, "epochs"),
    ({"train.beta_cycles": 2}, "beta_cycles"),
    ({"model.no_such_option": 1}, "no_such_option"),
]
#: all options of the mission's tables
TABLES = set(
    """
    backend dataset gpu jit save save_dir config b_act p_act block_gn depthwise num_output_mixtures
    init_zeros increase_kernelsize stage_in_width enc_middle_width dec_middle_width z_width
    enc_num_blocks dec_num_blocks output_blocks z_out_width z_out_middle_width num_flows flow_in_ch
    num_ortho_vecs spectral_norm convsylv_channels convsylv_flows_per_stage convsylv_splitfirst
    convsylv_stage_limit query_width num_queries batch_size batch_size_div cr_vae cr_lambda
    cr_duplicate_noise epochs early_stopping learning_rate learning_rate_end lr_warmup_epochs
    scheduler optimizer weight_decay use_ema gradient_smoothing gradient_clipnorm gradient_skipnorm
    beta beta_warmup_epochs cyclic_beta number_cycles
    """.split()  # noqa: SIM905
)


def default(option):
    """The default of an option: of a section, or of a component by its kind and name."""
    kind, _, rest = option.partition(".")
    if kind in ("flow", "attention", "regularizer"):
        name, _, key = rest.partition(".")
        return getattr(create_component(kind, name).options, key)
    value = Config()
    for key in option.split("."):
        value = getattr(value, "options", value) if key == "mixtures" else value
        value = getattr(value, key)
    return getattr(value, "name", value)


@pytest.mark.parametrize(
    ("earlier", "its", "option", "ours", "why"), ROWS, ids=[row[0] for row in ROWS]
)
def test_an_option_of_the_port_is_here_with_its_default_or_a_reason(
    earlier, its, option, ours, why
):
    assert default(option) == (its if ours is SAME else ours)
    assert bool(why) == (ours is not SAME)
    assert f"`{earlier}`" in PAGE


def test_every_option_of_the_tables_has_its_row():
    assert sorted(row[0] for row in (*ROWS, *OTHERS)) == sorted(TABLES)


@pytest.mark.parametrize(("earlier", "ours", "differs"), OTHERS, ids=[row[0] for row in OTHERS])
def test_an_option_without_a_default_is_on_the_page(earlier, ours, differs):
    assert f"`{earlier}`" in PAGE
    assert differs
    section, _, name = ours.partition(".")
    if name and section in ("train", "data"):
        assert hasattr(getattr(Config(), section), name)


@pytest.mark.parametrize(("earlier", "its", "option", "ours"), VALUES)
def test_a_value_of_the_port_can_be_said(earlier, its, option, ours):
    section, _, name = option.partition(".")
    config = parse_config({section: {name: ours}})
    found = getattr(getattr(config, section), name)
    assert getattr(found, "name", found) == ours


@pytest.mark.parametrize(("options", "named"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_the_tables_forbid_is_refused(options, named):
    with pytest.raises(ConfigError, match=named):
        parse_config({}, options)
