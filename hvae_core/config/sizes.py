"""How large a model may be: what no machine can build is refused before anything is built.

The bounds are far above every published model (the largest VDVAE has 115 million parameters, 75
latent layers and images of 1024 pixels a side), and below what hangs a machine or fills its memory.
"""

from __future__ import annotations

from hvae_core.config.limits import MAX_SIDE
from hvae_core.config.model import ModelConfig

#: encoder blocks and latent layers at all scales together
MAX_LAYERS = 4_096
#: 40 GB in float32
MAX_PARAMETERS = 10_000_000_000
#: of the residual stream at one scale, for one image
MAX_VALUES = 1 << 32


def check_size(model: ModelConfig) -> None:
    """Refuse a model that is too large in all, though each of its options may be.

    Raises:
        ValueError: names the options.
    """
    longest = max(model.image_shape[:2])
    if longest > MAX_SIDE:
        raise ValueError(
            f"model.resolutions and model.patch_size make images of {longest} pixels a "
            f"side; at most {MAX_SIDE} are supported"
        )
    layers = sum(stage.encoder_blocks + stage.decoder_blocks for stage in model.stages)
    if layers > MAX_LAYERS:
        raise ValueError(
            f"model.encoder_blocks and model.decoder_blocks come to {layers} layers; at most "
            f"{MAX_LAYERS} are supported"
        )
    values = max(s.positions * max(s.width, s.decoder_width) for s in model.stages)
    if values > MAX_VALUES:
        raise ValueError(
            f"model.width and model.resolutions come to {values:.2g} values an image at one scale; "
            f"at most {MAX_VALUES:.2g} are supported"
        )
    parameters = bottleneck_parameters(model, spatial=True)
    if parameters > MAX_PARAMETERS:
        raise ValueError(
            f"model.width, its middle widths and its blocks come to some {parameters:.2g} "
            f"parameters; at most {MAX_PARAMETERS:.2g} are supported"
        )


def bottleneck_parameters(model: ModelConfig, *, spatial: bool) -> int:
    """About how many parameters the blocks have, if they are bottlenecks (Child 2020, figure 3).

    Args:
        model: the architecture.
        spatial: count the middle convolutions too; without them, it is a lower bound for every
            kind of bottleneck, and for NVAE's cells, which are wider inside than outside.
    """

    def block(in_width: int, middle: int, out_width: int, kernel: int, layers: int = 2) -> int:
        if model.block.name == "nvae":
            middle = min(middle, in_width)
        middle_part = layers * kernel**2 * middle**2 if spatial else 0
        return in_width * middle + middle_part + middle * out_width

    total = 0
    for stage in model.stages:
        width, latent = stage.width, stage.latent_width
        up = stage.encoder_kernel_size, stage.encoder_middle_layers
        down = stage.decoder_kernel_size, stage.decoder_middle_layers
        total += stage.encoder_blocks * block(width, stage.encoder_middle_width, width, *up)
        width, middle = stage.decoder_width, stage.decoder_middle_width
        into = width + stage.skip_width
        if model.latent_heads:
            posterior = block(into, middle, width, *down) + 2 * latent * width
            prior = block(width, middle, 2 * width, *down) + 2 * latent * width
        else:
            posterior = block(into, middle, 2 * latent, *down)
            prior = block(width, middle, 2 * latent, *down)
        further = max(0, stage.residual_blocks - 1) * block(width, middle, width, *down)
        total += stage.decoder_blocks * (posterior + prior + further)
        if stage.learned_bias:
            total += stage.positions * width
    if model.readout.kind == "latents":
        readout = model.readout
        total += readout.blocks * block(readout.width, readout.middle_width, readout.width, 3)
    return total
