"""Configurations of the original VDVAE (openai/vdvae) in this toolkit's terms.

The original describes its networks by strings (Child 2020): ``32x11`` is eleven blocks at 32x32,
``32d2`` in the encoder one block and then pooling by 2, ``4m1`` in the decoder one block that first
takes in the stream of resolution 1.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hvae_core.errors import ConfigError, did_you_mean
from hvae_core.files.foreign_numbers import finite_number, whole_number


class Preprocessing(NamedTuple):
    """What the original does with the pixels (0 to 255) of a data set."""

    image_size: int
    mean: float
    scale: float
    data: dict[str, Any]
    levels: int = 256


#: by the original's name of the data set; FFHQ-1024 is read as numbers from 0 to 1 there
DATASETS = {
    "cifar10": Preprocessing(32, 120.63838, 64.16736, {"name": "cifar10"}),
    "imagenet32": Preprocessing(32, 116.2373, 69.37404, {"name": "imagenet32"}),
    "imagenet64": Preprocessing(64, 115.92961967, 69.37404, {"name": "imagenet64"}),
    "ffhq_256": Preprocessing(
        256, 112.8666757481, 69.84780273,
        {"name": "image-folder", "root": "ffhq256", "size": 256}, levels=32,
    ),
    "ffhq_1024": Preprocessing(
        1024, 0.4387 * 255, 0.2743 * 255,
        {"name": "image-folder", "root": "ffhq1024", "size": 1024},
    ),
}  # fmt: skip

#: training options: the original's name and ours
_TRAINING = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "adam_beta1": "beta_1",
    "adam_beta2": "beta_2",
    "ema_rate": "ema_decay",
    "grad_clip": "clip_norm",
}
#: the characters of a part of a network's string that a message quotes
_SHOWN = 40


def translate(original: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the original's keys as ours.

    Args:
        original: ``enc_blocks``, ``dec_blocks`` and ``dataset``, and any of ``image_size``,
            ``image_channels``, ``width``, ``custom_width_str``, ``zdim``, ``bottleneck_multiple``,
            ``num_mixtures``, ``no_bias_above``, ``lr``, ``wd``, ``adam_beta1``, ``adam_beta2``,
            ``ema_rate``, ``grad_clip``, ``skip_threshold``, ``warmup_iters`` and ``n_batch``, with
            the original's defaults; other keys are ignored.

    Returns:
        A mapping for `hvae_core.config.parse_config`.

    Raises:
        ConfigError: a key is missing, or describes a network that cannot be expressed.
    """
    for key in ("enc_blocks", "dec_blocks", "dataset"):
        if not isinstance(original.get(key), str):
            raise ConfigError(
                f"The original's configuration has no {key!r} that is a text.",
                "It needs enc_blocks and dec_blocks, such as '32x11,32d2,16x3', and dataset.",
            )
    name = original["dataset"]
    if name not in DATASETS:
        raise ConfigError(
            f"dataset is {name!r}, which the original does not have.", did_you_mean(name, DATASETS)
        )
    data = DATASETS[name]
    encoder = encoder_blocks(original["enc_blocks"])
    size = _whole(original, "image_size", data.image_size)
    if next(iter(encoder)) != size:
        raise ConfigError(
            f"enc_blocks starts at {next(iter(encoder))}, but the images have {size} pixels a side."
        )
    decoder = decoder_blocks(original["dec_blocks"], list(encoder))
    width = _whole(original, "width", 512)
    custom = _custom_widths(original.get("custom_width_str"))
    widths = [custom.get(resolution, width) for resolution in encoder]
    multiple = _number(original, "bottleneck_multiple", 0.25)
    middle = [int(value * multiple) for value in widths]
    return {
        "model": {
            "resolutions": list(encoder),
            "image_channels": _whole(original, "image_channels", 3),
            "input_mean": data.mean,
            "input_scale": data.scale,
            "width": widths if custom else width,
            "encoder_middle_width": middle if custom else middle[0],
            "decoder_middle_width": list(middle) if custom else middle[0],
            "latent_width": _whole(original, "zdim", 16),
            "encoder_blocks": list(encoder.values()),
            "decoder_blocks": [decoder[resolution][0] for resolution in encoder],
            "mixing_block": [decoder[resolution][1] for resolution in encoder],
            "no_bias_above": _whole(original, "no_bias_above", 64),
            **ORIGINAL_MODEL,
        },
        "likelihood": {
            "name": "logistic-mixture",
            "mixtures": _whole(original, "num_mixtures", 10),
            "levels": data.levels,
            "convention": "openai-vdvae",
        },
        "data": dict(data.data),
        "train": _training(original),
    }


#: what all networks of the original have in common
ORIGINAL_MODEL: dict[str, Any] = {
    "pooling_block": True,
    "block_activation": "gelu",
    "channel_change": "pad",
    "standard_deviation": "exp",
    "readout": {"kind": "features"},
}


def encoder_blocks(text: str) -> dict[int, int]:
    """``32x2,32d2,16x1`` -> {32: 3, 16: 1}: blocks at each resolution, finest first.

    Raises:
        ConfigError: the text is malformed or jumps between resolutions.
    """
    blocks: dict[int, int] = {}
    current: int | None = None
    for part, resolution, kind, number in _parts(text, "enc_blocks", "xd"):
        if current is not None and resolution != current:
            raise ConfigError(f"enc_blocks has {part!r} where the resolution is {current}.")
        current = resolution
        if kind == "x":
            blocks[resolution] = blocks.get(resolution, 0) + number
            continue
        if number < 2 or resolution % number:
            raise ConfigError(f"enc_blocks has {part!r}, which does not divide {resolution}.")
        blocks[resolution] = blocks.get(resolution, 0) + 1
        current = resolution // number
        blocks[current] = 0
    return blocks


def decoder_blocks(text: str, resolutions: list[int]) -> dict[int, tuple[int, int]]:
    """``1x1,4m1,4x2`` -> {1: (1, 0), 4: (3, 0)}: blocks, and which of them mixes in.

    Args:
        text: the original's string.
        resolutions: the encoder's, finest first; those without a decoder block get (0, 0).

    Raises:
        ConfigError: the text is malformed, or describes another order than coarse to fine.
    """
    counts: dict[int, int] = {}
    mixing: dict[int, int] = {}
    for part, resolution, kind, number in _parts(text, "dec_blocks", "xm"):
        last = next(reversed(counts), None)
        if resolution not in resolutions:
            raise ConfigError(f"dec_blocks has {part!r}; the encoder has no scale {resolution}.")
        if last is not None and (resolution < last or resolution in list(counts)[:-1]):
            raise ConfigError(
                f"dec_blocks has {part!r} after a finer scale; hvae goes from coarse to fine."
            )
        if kind == "x":
            counts[resolution] = counts.get(resolution, 0) + number
            continue
        others = [r for r in counts if r != resolution]
        if resolution in mixing or not others or number != others[-1]:
            raise ConfigError(
                f"dec_blocks has {part!r}; hvae mixes each scale once with the one before it."
            )
        mixing[resolution] = counts.get(resolution, 0)
        counts[resolution] = counts.get(resolution, 0) + 1
    for coarse, fine in itertools.pairwise(counts):
        if fine not in mixing:
            raise ConfigError(
                f"dec_blocks never mixes a coarser stream into scale {fine}.",
                f"Expected a part such as '{fine}m{coarse}'.",
            )
    return {r: (counts.get(r, 0), mixing.get(r, 0)) for r in resolutions}


def _parts(text: str, key: str, kinds: str) -> list[tuple[str, int, str, int]]:
    found = []
    for part in (piece.strip() for piece in text.split(",")):
        match = re.fullmatch(rf"(\d{{1,9}})(?:([{kinds}])(\d{{1,9}}))?", part)
        if match is None or int(match[1]) < 1 or (match[3] and int(match[3]) < 1):
            raise ConfigError(
                f"{key} has {part[:_SHOWN]!r}; expected parts such as "
                + " or ".join(f"'32{kind}2'" for kind in kinds)
                + ", separated by commas."
            )
        found.append((part, int(match[1]), match[2] or "x", int(match[3] or 1)))
    return found


def _custom_widths(text: Any) -> dict[int, int]:
    if text is None:
        return {}
    if not isinstance(text, str):
        raise ConfigError(
            f"custom_width_str is {str(text)[:_SHOWN]}; expected a text of parts such as '64:512'."
        )
    widths = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", part)
        if match is None:
            raise ConfigError(
                f"custom_width_str has {part[:_SHOWN]!r}; expected parts such as '64:512'."
            )
        widths[int(match[1])] = int(match[2])
    return widths


def _whole(original: Mapping[str, Any], key: str, default: int) -> int:
    return whole_number(original.get(key, default), key)


def _number(original: Mapping[str, Any], key: str, default: float) -> float:
    return finite_number(original.get(key, default), key)


def _training(original: Mapping[str, Any]) -> dict[str, Any]:
    """The original's rules: AdamW on all weights, a constant rate after the warm-up."""
    train: dict[str, Any] = {
        "optimizer": "adamw",
        "beta_1": 0.9,
        "beta_2": 0.9,
        "learning_rate": 0.00015,
        "weight_decay": 0.0,
        "decay_all_weights": True,
        "ema_decay": 0.999,
        "ema_warmup": False,
        "clip_norm": 200.0,
        "schedule": "constant",
        "skip_start_step": 0,
    }
    train |= {
        ours: finite_number(original[key], key)
        for key, ours in _TRAINING.items()
        if key in original
    }
    if "n_batch" in original:
        train["batch_size"] = _whole(original, "n_batch", 0)
    train["final_learning_rate"] = min(1e-6, train["learning_rate"])
    # The original cannot do without a warm-up, and -1 turns skipping off there.
    train["warmup_steps"] = _whole(original, "warmup_iters", 0)
    train["skip_norm"] = max(0.0, _number(original, "skip_threshold", 400.0))
    return train
