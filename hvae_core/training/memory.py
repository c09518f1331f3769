"""An estimate of the memory that training takes, from the configuration alone. Imports no Keras."""

from __future__ import annotations

import dataclasses
import math

from hvae_core.config import Config, expand

#: arrays of the weights' size that an optimizer keeps which does not say: Adam's two moments
_MOMENTS = 2
#: float32 values kept for the backward pass, for each value of a latent and of the likelihood's
#: parameters: counted in PyTorch's graph
_LATENT, _LIKELIHOOD = 16, 6


@dataclasses.dataclass(frozen=True)
class TrainingMemory:
    """Bytes that an update needs at least.

    Args:
        state: weights, gradient, the optimizer's moments and the averages; on every device.
        activations: what the forward pass keeps for the backward pass, for a micro-batch, on all
            devices together. A compiler may keep less by computing some of it twice.
    """

    state: int
    activations: int


def estimate_memory(
    config: Config, parameters: int, likelihood_parameters: int, frozen: int = 0
) -> TrainingMemory:
    """What training takes, without flows, attention or a regularizer's copies.

    Args:
        config: the configuration.
        parameters: weights of the model.
        likelihood_parameters: channels that the likelihood takes for a pixel.
        frozen: so many of the weights are not trained.
    """
    train, model = config.train, config.model
    counted = train.optimizer.spec.state_arrays
    options, settings = train.optimizer.options, train.optimizer_settings
    moments = _MOMENTS if counted is None else counted(options, settings)
    copies = 2 + moments + (train.ema_decay > 0)
    width = 2 if train.precision == "mixed_bfloat16" else 4
    remat = expand(train.remat, len(model.stages), "train.remat")
    values = exact = again = 0
    for stage in model.stages:
        positions = stage.positions
        up, down = stage.encoder_middle_layers, stage.decoder_middle_layers
        stream, middle = stage.decoder_width, stage.decoder_middle_width
        block = _block(stage.width, stage.encoder_middle_width, up)
        prior = (1 + stage.residual_blocks) * _block(stream, middle, down)
        posterior = _block(stream + stage.skip_width, middle, down)
        latent = prior + posterior + 2 * stream
        if remat[stage.index]:  # what enters is kept, and one at a time computed again
            again = max(again, positions * max(block, latent))
            block, latent = stage.width, stream
        values += positions * (stage.encoder_blocks * block + stage.decoder_blocks * latent)
        exact += positions * stage.decoder_blocks * _LATENT * stage.latent_width
    readout = model.readout
    if readout.kind == "latents":
        positions = model.stages[0].positions
        block = _block(readout.width, readout.middle_width)
        if remat[0]:
            again, block = max(again, positions * block), readout.width
        values += positions * readout.blocks * block
    values += again
    height, breadth, _ = model.image_shape
    exact += height * breadth * _LIKELIHOOD * likelihood_parameters
    rows = math.ceil(train.batch_size / train.accumulate)
    state = 4 * (parameters * copies - frozen * (copies - 1))
    return TrainingMemory(state, rows * (width * values + 4 * exact))


def _block(width: int, middle: int, middle_layers: int = 2) -> int:
    """Values a position: what enters each convolution, before and after the activation."""
    return 2 * (width + (middle_layers + 1) * middle)
