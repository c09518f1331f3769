"""The discretized mixture of logistics as a plugin: for 8-bit images and for fewer levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pydantic

from hvae_core.interfaces import Likelihood, Shape3, Tensor
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class LogisticMixtureConfig(pydantic.BaseModel):
    """Options of the mixture."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    mixtures: pydantic.PositiveInt = pydantic.Field(10, description="components a pixel")
    levels: int = pydantic.Field(
        256, ge=2, le=256, description="intensity levels that 0 to 255 are divided into"
    )
    convention: Literal["normalised", "openai-vdvae"] = pydantic.Field(
        "normalised",
        description="openai-vdvae, for its checkpoints: drawn values are cut off to pixels, and "
        "levels below 256 lie at multiples of 256 / levels, so that the mass does not sum to 1",
    )


class LogisticMixture(Likelihood):
    """p(x | z) by `hvae_core.prob.logistic_mixture`; x is quantised to ``levels`` values.

    Level k of n is -1 + 2k / (n - 1) to the density and round(255 k / (n - 1)) as a pixel. With
    the convention of openai/vdvae, level k lies where the pixel 256 k / n of 8 bits does.

    Args:
        config: the options.
        image_shape: [H, W, C] with 1 or 3 channels.
    """

    unit = "bits/dim"

    def __init__(self, config: LogisticMixtureConfig, image_shape: Shape3) -> None:
        from hvae_core.errors import ConfigError
        from hvae_core.prob import logistic_mixture

        if image_shape[-1] not in (1, 3):
            raise ConfigError(
                f"likelihood logistic-mixture takes images of 1 or 3 channels, not of "
                f"{image_shape[-1]} (model.image_channels)."
            )
        self._prob = logistic_mixture
        self.config = config
        self.channels = image_shape[-1]
        self.levels = config.levels
        self._is_original = config.convention == "openai-vdvae"
        self.proper = not self._is_original or config.levels == 256
        self.parameters = logistic_mixture.parameter_count(config.mixtures, self.channels)

    @property
    def support(self) -> Sequence[int]:
        """See `Likelihood.support`; the original draws all values, whatever the levels."""
        return range(256) if self._is_original else super().support

    def quantise(self, x: Tensor) -> Tensor:
        """Pixels 0 to 255 -> the level's place in [-1, 1], float32."""
        from keras import ops

        levels = self.config.levels
        level = ops.floor(ops.cast(x, "float32") * (levels / 256.0))
        if self._is_original:
            return (level * (256.0 / levels) - 127.5) / 127.5
        return level * (2.0 / (levels - 1)) - 1.0

    def pixels(self, x: Tensor) -> Tensor:
        """A continuous value in [-1, 1] -> the nearest level as a pixel, uint8."""
        from keras import ops

        if self._is_original:
            return ops.cast(ops.clip((x + 1.0) * 127.5, 0.0, 255.0), "uint8")
        steps = self.config.levels - 1
        level = ops.round((ops.clip(x, -1.0, 1.0) + 1.0) * (steps / 2.0))
        return ops.cast(ops.round(level * (255.0 / steps)), "uint8")

    def _split(self, parameters: Tensor) -> Tensor:
        return self._prob.split(parameters, self.config.mixtures, self.channels)

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """See `Likelihood.log_prob`."""
        from keras import ops

        log_prob = self._prob.log_prob(
            self.quantise(x), self._split(parameters), self.config.levels
        )
        return ops.sum(log_prob, axis=(1, 2))

    def noise_channels(self) -> int:
        """One number a component and one a channel."""
        return self.config.mixtures + self.channels

    def sample(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """See `Likelihood.sample`."""
        return self.pixels(self._prob.sample(self._split(parameters), noise, temperature))

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.mean`."""
        return (self._prob.mean(self._split(parameters)) + 1.0) * 127.5


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the likelihood."""
    return ComponentSpec(
        kind="likelihood",
        name="logistic-mixture",
        summary="Discretized mixture of logistics for images of 1 or 3 channels",
        builder=LogisticMixture,
        config=LogisticMixtureConfig,
        references=("Salimans et al. 2017, PixelCNN++, arXiv 1701.05517",),
    )
