"""Bernoulli pixels as a plugin: for binarized images."""

from __future__ import annotations

from typing import Literal

import pydantic

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
        return sum_event(bernoulli.log_prob(target, ops.cast(parameters, "float32")))

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
        return ops.cast(ops.where(is_one, 255.0, 0.0), "uint8")

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.mean`: 255 p."""
        from keras import ops

        return 255.0 * ops.sigmoid(ops.cast(parameters, "float32"))


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
