"""Bernoulli pixels as a plugin: for binarized images."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pydantic

from hvae_core.errors import ConfigError
from hvae_core.interfaces import UINT8, ImageValues, Likelihood, Shape3, Tensor
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class BernoulliConfig(pydantic.BaseModel):
    """Options of the Bernoulli likelihood."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    targets: Literal["binary", "probabilities"] = pydantic.Field(
        "binary",
        description="binary: pixels from 128 on are 1; probabilities: x / 255 as a soft target, "
        "whose cross-entropy is the expectation over binarizations, not a density of x",
    )
    margin: int = pydantic.Field(
        0,
        ge=0,
        description="pixels of each border that are no part of the image: they do not count and "
        "are drawn black, as in Efficient-VDVAE of MNIST (2)",
    )


class Bernoulli(Likelihood):
    """p(x | z) of binary pixels.

    Args:
        config: the options.
        image_shape: [H, W, C].
    """

    unit = "nats"

    def __init__(
        self, config: BernoulliConfig, image_shape: Shape3, values: ImageValues = UINT8
    ) -> None:
        self.config = config
        self._inside: np.ndarray | None = None
        if config.margin:
            height, width, _ = image_shape
            if 2 * config.margin >= min(height, width):
                raise ConfigError(
                    f"likelihood.margin is {config.margin}, which leaves nothing of images of "
                    f"{height}x{width} pixels.",
                    "Choose a smaller one.",
                )
            inside = np.ones((height - 2 * config.margin, width - 2 * config.margin), np.float32)
            self._inside = np.pad(inside, config.margin)[None, :, :, None]
        self.parameters = image_shape[-1]
        self.levels = 2 if config.targets == "binary" else 256

    @property
    def support(self) -> tuple[int, int]:
        """Black and white, also where grey targets are soft ones."""
        return (0, 255)

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """See `Likelihood.log_prob`; the parameters are logits."""
        from keras import ops

        from hvae_core.prob import bernoulli
        from hvae_core.prob.gaussian import sum_event

        x = ops.cast(x, "float32")
        binary = self.config.targets == "binary"
        target = ops.cast(x >= 128.0, "float32") if binary else x * (1.0 / 255.0)
        each = bernoulli.log_prob(target, ops.cast(parameters, "float32"))
        return sum_event(self._within(each))

    def noise_channels(self) -> int:
        """One number a channel."""
        return self.parameters

    def sample(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """A binary image, 0 or 255; the temperature divides the logits."""
        from keras import ops

        # u < sigmoid(l / t) as t logit(u) < l, so that temperature 0 gives the likelier value.
        u = ops.clip(ops.cast(noise, "float32"), 1e-6, 1.0 - 1e-6)
        logit = ops.log(u) - ops.log(1.0 - u)
        is_one = temperature * logit < ops.cast(parameters, "float32")
        drawn = ops.where(is_one, 255.0, 0.0)
        return ops.cast(self._within(drawn), "uint8")

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.mean`: 255 p."""
        from keras import ops

        return self._within(255.0 * ops.sigmoid(ops.cast(parameters, "float32")))

    def _within(self, x: Tensor) -> Tensor:
        """``x`` [B, H, W, C], 0 in the margin."""
        from keras import ops

        return x if self._inside is None else x * ops.convert_to_tensor(self._inside)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the likelihood."""
    return ComponentSpec(
        kind="likelihood",
        name="bernoulli",
        summary="Bernoulli pixels for binarized images",
        builder=Bernoulli,
        config=BernoulliConfig,
        dtypes=("uint8",),
    )
