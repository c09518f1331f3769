"""The Laplace density as a plugin: for images of floating-point values."""

from __future__ import annotations

from hvae_core.interfaces import Tensor
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.likelihoods.location_scale import LocationScale, ScaleOptions


class LaplaceConfig(ScaleOptions):
    """Options of the Laplace likelihood."""


class Laplace(LocationScale):
    """A Laplace density of each value; see `LocationScale`."""

    def density(self, z: Tensor) -> Tensor:
        """See `LocationScale.density`."""
        from hvae_core.prob.location_scale import laplace_log_density

        return laplace_log_density(z)

    def standard_draw(self, uniform: Tensor) -> Tensor:
        """See `LocationScale.standard_draw`."""
        from hvae_core.prob.location_scale import laplace_draw

        return laplace_draw(uniform)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the likelihood."""
    return ComponentSpec(
        kind="likelihood",
        name="laplace",
        summary="Laplace density of floating-point images, in nats",
        builder=Laplace,
        config=LaplaceConfig,
        dtypes=("float32",),
    )
