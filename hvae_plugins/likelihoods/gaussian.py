"""The Gaussian density as a plugin: for images of floating-point values."""

from __future__ import annotations

from hvae_core.interfaces import Tensor
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.likelihoods.location_scale import LocationScale, ScaleOptions


class GaussianConfig(ScaleOptions):
    """Options of the Gaussian likelihood."""


class Gaussian(LocationScale):
    """A Gaussian density of each value; see `LocationScale`."""

    def density(self, z: Tensor) -> Tensor:
        """See `LocationScale.density`."""
        from hvae_core.prob.location_scale import gaussian_log_density

        return gaussian_log_density(z)

    def standard_draw(self, uniform: Tensor) -> Tensor:
        """See `LocationScale.standard_draw`."""
        from hvae_core.prob.location_scale import gaussian_draw

        return gaussian_draw(uniform)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the likelihood."""
    return ComponentSpec(
        kind="likelihood",
        name="gaussian",
        summary="Gaussian density of floating-point images, in nats",
        builder=Gaussian,
        config=GaussianConfig,
        dtypes=("float32",),
        references=("Rybkin et al. 2021, sigma-VAE, arXiv 2006.13202",),
    )
