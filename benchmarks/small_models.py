"""What benchmarks with small models share: the configuration, and a run that is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import hvae

#: the section ``train``, for minutes of one core
TRAIN: dict[str, Any] = {
    "batch_size": 16,
    "optimizer": "adam",
    "learning_rate": 2e-3,
    "final_learning_rate": 1e-5,
    "warmup_steps": 100,
    "ema_decay": 0.99,
    "clip_norm": 200.0,
    "skip_norm": 0,
    "sample_epochs": 0,
    "validation_fraction": 0.01,
    "report": False,
    "tensorboard": False,
}


def small_model(side: int, channels: int, width: list[int], latent_width: list[int]) -> dict:
    """The section ``model``, of four scales and any size of images.

    Args:
        side: of the finest scale, a multiple of 8.
        channels: of the images.
        width: of each scale, finest first; blocks are half as wide in their middle.
        latent_width: of each scale.
    """
    middle = [w // 2 for w in width]
    return {
        "resolutions": [side, side // 2, side // 4, side // 8],
        "image_channels": channels,
        "width": width,
        "encoder_middle_width": middle,
        "decoder_middle_width": middle,
        "latent_width": latent_width,
        "encoder_blocks": [1, 2, 2, 1],
        "decoder_blocks": [1, 2, 2, 1],
        "no_bias_above": 0,
        "readout": {"kind": "features"},
    }


def trained(config: dict[str, Any], run: Path, images: np.ndarray) -> hvae.HierarchicalVAE:
    """The model of a run, which is trained unless it is there; a stopped one is resumed."""
    hvae.train(config, run, dataset=images, resume=(run / "config.yaml").is_file())
    return hvae.load(run)
