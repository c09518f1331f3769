"""The weights that a run starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hvae_core.config import Config
from hvae_core.errors import ConfigError
from hvae_core.training.partial_posterior import STEM
from hvae_core.vae import HierarchicalVAE
from hvae_core.weights import assign, model_arrays, read_tensors
from hvae_core.weights.model_weights import check_finite


def start_from(model: HierarchicalVAE, weights: Path | Mapping[str, np.ndarray] | None) -> None:
    """Give a model the weights that a run starts from.

    Where its encoder sees a mask and theirs did not, or it has a condition and they are of an
    unconditional model, it begins by not looking at it.

    Args:
        model: the model.
        weights: a safetensors file, or arrays by name; None: it keeps its fresh ones.

    Raises:
        WeightsError: they are damaged or another model's.
    """
    if weights is None:
        return
    if isinstance(weights, Path):
        arrays, source = read_tensors(weights), str(weights)
        check_finite(arrays, source)
    else:
        arrays, source = dict(weights), "The model that was given"
    assign(model, conditioned(widened(arrays, model), model), source)


def conditioned(
    arrays: Mapping[str, np.ndarray], model: HierarchicalVAE
) -> Mapping[str, np.ndarray]:
    """The weights with the model's own of its condition, where they are of one without."""
    if model.condition_values is None or any(map(is_of_condition, arrays)):
        return arrays
    own = model_arrays(model)
    return {**arrays, **{name: own[name] for name in filter(is_of_condition, own)}}


def is_of_condition(name: str) -> bool:
    """Whether a weight embeds a condition, or is where one enters."""
    return "condition" in name.split(".")


def widened(arrays: Mapping[str, np.ndarray], model: HierarchicalVAE) -> Mapping[str, np.ndarray]:
    """The weights with a stem for the channels that the model's encoder sees beside the image's."""
    stem, image = arrays.get(STEM), model.image_shape[-1]
    more = model.encoder_shape[-1] - image
    if not more or stem is None or stem.ndim != 4 or stem.shape[2] != image:
        return arrays
    return {**arrays, STEM: np.pad(stem, ((0, 0), (0, 0), (0, more), (0, 0)))}


def check_needs_no_start(config: Config) -> None:
    """Refuse to train a second encoder of fresh weights.

    Raises:
        ConfigError: ``train.objective`` is partial-posterior.
    """
    if config.train.objective == "partial-posterior":
        raise ConfigError(
            "train.objective is partial-posterior, which needs a trained model, and there are no "
            "weights to start from.",
            "Name them: hvae train ... --weights PRESET, in Python weights=.",
        )
