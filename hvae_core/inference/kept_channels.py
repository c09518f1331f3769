"""Which channels of the latents carry information, and latents with those alone.

Hazami et al. 2022 (arXiv 2203.13751), section 7: few channels' posteriors differ from the prior;
the others can be drawn from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Infer
from hvae_core.interfaces import Shape3

if TYPE_CHECKING:
    from hvae_core.inference.tiles import SizedEngine


def prunable_layers(engine: Engine) -> list[bool] | None:
    """See `ModelConfig.prunable_layers`; None of an export, which prunes nothing."""
    if not engine.gives(Infer((), prunes=True)):
        return None
    return cast("SizedEngine", engine).config.model.prunable_layers


def most_informative(
    kl_per_channel: Sequence[Any], fraction: float, prunable: Sequence[bool] | None = None
) -> list[np.ndarray]:
    """The channels whose KL is above the quantile ``1 - fraction`` of all prunable layers'.

    Args:
        kl_per_channel: [c] for each latent layer, coarsest first; see `Latents.kl_per_channel`.
        fraction: of the channels of prunable layers, the part that is kept.
        prunable: of which layers; all channels of the others are kept. None: of all.

    Returns:
        True where a channel is kept, [c] for each layer.

    Raises:
        BadInputError: the fraction is not from 0 to 1, or no layer is prunable.
    """
    if (
        isinstance(fraction, bool)
        or not isinstance(fraction, int | float)
        or not 0 <= fraction <= 1
    ):
        raise BadInputError(f"fraction is {fraction!r}; it must be a number from 0 to 1.")
    layers = [np.asarray(layer, np.float32) for layer in kl_per_channel]
    if fraction == 1:
        return [np.ones(layer.shape, bool) for layer in layers]
    may = [True] * len(layers) if prunable is None else list(prunable)
    if not any(may):
        raise BadInputError(
            "No layer of these latents can be pruned: each has a flow, or is a top prior's.",
            "Keep all channels.",
        )
    compared = [layer for layer, is_prunable in zip(layers, may, strict=True) if is_prunable]
    threshold = np.quantile(np.concatenate(compared), 1.0 - fraction)
    return [
        layer > threshold if is_prunable else np.ones(layer.shape, bool)
        for layer, is_prunable in zip(layers, may, strict=True)
    ]


def check_kept(engine: Engine, kept: Sequence[Any]) -> list[np.ndarray]:
    """Which channels are kept, float32 [c] of zeros and ones for each latent layer of the model.

    Raises:
        BadInputError: another number of layers or of channels, or other values; or a channel of a
            layer that is not prunable is left out.
    """
    shapes: list[Shape3] = list(engine.latent_shapes)
    if len(kept) != len(shapes):
        raise BadInputError(
            f"kept has {len(kept)} arrays; the model has {len(shapes)} latent layers.",
            "Latents.most_informative gives one a layer.",
        )
    arrays = [np.asarray(layer, np.float32) for layer in kept]
    for index, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        if array.shape != shape[-1:]:
            raise BadInputError(
                f"kept[{index}] has shape {list(array.shape)}; the layer has {shape[-1]} channels."
            )
        if not np.isin(array, (0.0, 1.0)).all():
            raise BadInputError(f"kept[{index}] holds values that are neither true nor false.")
    for index, is_prunable in enumerate(prunable_layers(engine) or ()):
        if not is_prunable and not arrays[index].all():
            raise BadInputError(
                f"kept[{index}] leaves out channels of a layer with a flow or of a top prior, of "
                "which each tells something of the others.",
                "Keep all channels of this layer, as most_informative of the model's latents does.",
            )
    return arrays
