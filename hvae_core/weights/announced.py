"""Whether a weights file can be a configuration's, before a model of that size is built."""

from __future__ import annotations

from hvae_core.config import Config
from hvae_core.config.sizes import bottleneck_parameters
from hvae_core.errors import WeightsError
from hvae_core.plugins import manager
from hvae_core.weights.tensors import Header

#: parameters that a model may have whatever its file holds; building that many harms nobody
HARMLESS = 10_000_000


def check_announced(config: Config, header: Header, source: str) -> None:
    """Refuse a configuration that announces a far larger model than the file has weights for.

    Args:
        config: of the model.
        header: of the weights file.
        source: the file, for the message.

    Raises:
        WeightsError: the model cannot be built of this file.
    """
    model = config.model
    layers, tensors = len(model.latent_shapes), len(header.tensors)
    fewest = sum(
        stage.decoder_blocks * stage.decoder_width * stage.latent_width for stage in model.stages
    ) - max(stage.decoder_width * stage.latent_width for stage in model.stages)
    if manager().find("block", model.block.name).distribution == "hvae":
        fewest += bottleneck_parameters(model, spatial=False)
    too_many = layers > max(tensors, 256)
    if too_many or fewest > max(header.parameters, HARMLESS):
        raise WeightsError(
            f"{source} does not fit the model: it has {tensors} tensors with "
            f"{header.parameters:,} parameters, the configuration asks for {layers} latent layers "
            f"and more than {fewest:,} parameters.",
            "The weights belong to another configuration.",
        )
