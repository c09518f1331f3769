"""The earlier port's options, one by one: ours, its default and ours, and why they differ.

The page of the options' sources names each of them.
"""

from pathlib import Path
from typing import Any

import pytest

from hvae_core.config import Config
from hvae_core.config.loading import create_component

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
