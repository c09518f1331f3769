"""The discretized mixture of logistics as a plugin: for 8 to 16 bits and for fewer levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import pydantic

from hvae_core.errors import ConfigError
from hvae_core.interfaces import UINT8, ImageValues, Likelihood, Shape3, Tensor
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.likelihoods.level_count import LevelCount, count_levels


class LogisticMixtureConfig(pydantic.BaseModel):
    """Options of the mixture."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    mixtures: pydantic.PositiveInt = pydantic.Field(10, description="components a pixel")
    levels: LevelCount = None
    coupling: bool = pydantic.Field(
        True,
        description="a channel's means depend on those before it, by a coefficient for each pair",
    )
    gradient_smoothing: bool = pydantic.Field(
        False,
        description="scales are a softplus of what is read out, not its exponential (Hazami et al. "
        "2022)",
    )
    smoothing_beta: pydantic.PositiveFloat = pydantic.Field(
        math.log(2.0), description="of that softplus; ln 2 makes a scale of 1 of 0"
    )
    log_scale_factor: pydantic.PositiveFloat = pydantic.Field(
        1.0, description="without gradient_smoothing log scales are this times what is read out"
    )
    log_scale_floor: float | None = pydantic.Field(
        None,
        description="smallest log scale, in halves of the values' range; -7 if unset, or less "
        "where levels are finer than 8 bits",
    )
    convention: Literal["normalised", "openai-vdvae", "efficient-vdvae"] = pydantic.Field(
        "normalised",
        description="of others' checkpoints; both: levels below 256 lie at multiples of "
        "256 / levels, so that the mass does not sum to 1; openai-vdvae: drawn values are cut off "
        "to pixels; efficient-vdvae: the highest level's bin is open",
    )


class LogisticMixture(Likelihood):
    """p(x | z) by `hvae_core.prob.logistic_mixture`; x is quantised to ``levels`` values.

    Level k of n is -1 + 2k / (n - 1) to the density and round(high k / (n - 1)) as a value. With
    the conventions of the originals, level k lies where the pixel 256 k / n of 8 bits does.

    Args:
        config: the options.
        image_shape: [H, W, C].
        values: the images' numbers, integers.
    """

    unit = "bits/dim"

    def __init__(
        self, config: LogisticMixtureConfig, image_shape: Shape3, values: ImageValues = UINT8
    ) -> None:
        from hvae_core.prob import logistic_mixture
        from hvae_core.prob.levels import Levels

        count = count_levels(config.levels, values)
        if config.convention != "normalised" and (values != UINT8 or image_shape[-1] not in (1, 3)):
            raise ConfigError(
                f"likelihood.convention is {config.convention}, whose images are uint8 of 1 or 3 "
                f"channels, but the model's are {values} of {image_shape[-1]}.",
                "Leave the convention unset.",
            )
        self._prob = logistic_mixture
        self.config, self.values = config, values
        self.channels = image_shape[-1]
        self._is_original = config.convention != "normalised"
        self._cuts_off = config.convention == "openai-vdvae"
        #: the highest level's place, where its bin is open and draws are clipped
        self._top = 1.0
        if config.convention == "efficient-vdvae":
            self._top = (256.0 - 256.0 / count - 127.5) / 127.5
        self.proper = not self._is_original or count == 256
        self.grid, self.levels = Levels(values, count), count
        floor = config.log_scale_floor
        self.floor = self.grid.log_scale_floor if floor is None else floor
        self.parameters = logistic_mixture.parameter_count(
            config.mixtures, self.channels, config.coupling
        )

    @property
    def support(self) -> Sequence[int]:
        """See `Likelihood.support`; the original draws all values, whatever the levels."""
        return range(256) if self._is_original else super().support

    def quantise(self, x: Tensor) -> Tensor:
        """Native values -> the level's place in [-1, 1], float32."""
        from keras import ops

        if self._is_original:
            level = ops.floor(ops.cast(x, "float32") * (self.levels / 256.0))
            return (level * (256.0 / self.levels) - 127.5) / 127.5
        return self.grid.place(x)

    def pixels(self, x: Tensor) -> Tensor:
        """A continuous value in [-1, 1] -> the nearest level as a native value."""
        from keras import ops

        if self._is_original:
            pixel = ops.clip((x + 1.0) * 127.5, 0.0, 255.0)
            return ops.cast(pixel if self._cuts_off else ops.round(pixel), "uint8")
        return self.grid.integers(x)

    def _split(self, parameters: Tensor) -> Tensor:
        config = self.config
        return self._prob.split(
            parameters,
            config.mixtures,
            self.channels,
            coupling=config.coupling,
            gradient_smoothing=config.gradient_smoothing,
            floor=self.floor,
            beta=config.smoothing_beta if config.gradient_smoothing else config.log_scale_factor,
        )

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """See `Likelihood.log_prob`."""
        from keras import ops

        config, mixture = self.config, self._split(parameters)
        # Efficient-VDVAE's density of narrow bins leaves the factor out.
        factor = 1.0
        if config.convention == "efficient-vdvae" and not config.gradient_smoothing:
            factor = 1.0 / config.log_scale_factor
        log_prob = self._prob.log_prob(
            self.quantise(x), mixture, self.levels, top=self._top, density_factor=factor
        )
        return ops.sum(log_prob, axis=(1, 2))

    def noise_channels(self) -> int:
        """One number a component and one a channel."""
        return self.config.mixtures + self.channels

    def sample(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """See `Likelihood.sample`."""
        drawn = self._prob.sample(self._split(parameters), noise, temperature, self._top)
        return self.pixels(drawn)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.mean`."""
        return (self._prob.mean(self._split(parameters)) + 1.0) * self.values.half_range


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the likelihood."""
    return ComponentSpec(
        kind="likelihood",
        name="logistic-mixture",
        summary="Discretized mixture of logistics, of 8 to 16 bits and any number of channels",
        builder=LogisticMixture,
        config=LogisticMixtureConfig,
        dtypes=("uint8", "uint16"),
        references=("Salimans et al. 2017, PixelCNN++, arXiv 1701.05517",),
    )
