"""DVP-VAE's top prior: a diffusion model of an image's lowest frequencies."""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from hvae_core.interfaces import Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class DiffusionVampPriorConfig(pydantic.BaseModel):
    """Options of the prior; its sizes, steps and ends are those published for CIFAR-10."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    size: int = pydantic.Field(
        7, ge=1, description="the context is the size x size lowest frequencies of each channel"
    )
    steps: int = pydantic.Field(25, ge=1, description="of the diffusion")
    width: int = pydantic.Field(32, ge=1, description="channels of the denoiser")
    blocks: int = pydantic.Field(3, ge=1, description="residual blocks of the denoiser")
    prediction: Literal["gaussian", "noise"] = pydantic.Field(
        "gaussian",
        description="what the denoiser gives: what is left of the context by the best guess for "
        "Gaussian contexts with the training set's means and deviations; or the noise, as "
        "published",
    )
    log_snr_max: float = pydantic.Field(
        10.0, ge=-30, le=30,
        description="logarithm of the signal-to-noise ratio at the diffusion's clean end",
    )  # fmt: skip
    log_snr_min: float = pydantic.Field(-7.0, ge=-30, le=30, description="and at its noisy end")

    @pydantic.model_validator(mode="after")
    def _ends(self) -> Self:
        if self.log_snr_min >= self.log_snr_max:
            raise ValueError(
                f"log_snr_min is {self.log_snr_min:g}, which is not below log_snr_max, "
                f"{self.log_snr_max:g}"
            )
        return self


def latent_shape(options: DiffusionVampPriorConfig, image_shape: Shape3) -> Shape3:
    """Of all states of the diffusion, the noisiest first, and of the context after them."""
    height, width, channels = image_shape
    if options.size > min(height, width):
        raise ValueError(
            f"size is {options.size}, but an image of {height}x{width} has {min(height, width)} "
            "frequencies along its shorter side"
        )
    return (options.size, options.size, (options.steps + 2) * channels)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the prior."""
    return ComponentSpec(
        kind="prior",
        name="diffusion-vampprior",
        summary="a diffusion model of the image's lowest frequencies, which all priors read",
        builder="hvae_plugins.priors.diffusion_vampprior.layer:DiffusionVampPrior",
        config=DiffusionVampPriorConfig,
        references=(
            "Kuzina and Tomczak 2024, Hierarchical VAE with a Diffusion-based VampPrior, "
            "arXiv 2412.01373",
            "Kingma et al. 2021, Variational Diffusion Models, arXiv 2107.00630",
        ),
        latent_shape=latent_shape,
        context_channels=lambda options, image_shape: image_shape[2],
        supports=("embedding",),
        trials=(
            {"size": 2, "steps": 2, "width": 4, "blocks": 1},
            {"size": 2, "steps": 2, "width": 4, "blocks": 1, "prediction": "noise"},
        ),
    )
