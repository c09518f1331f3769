"""Student's t density as a plugin: for floating-point images with outliers."""

from __future__ import annotations

import pydantic

from hvae_core.interfaces import Tensor
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.likelihoods.location_scale import LocationScale, ScaleOptions


class StudentTConfig(ScaleOptions):
    """Options of Student's t likelihood."""

    degrees_of_freedom: float = pydantic.Field(
        4.0,
        gt=1,
        le=1e8,  # beyond, the normalising constant cancels
        description="above 1; the smaller, the heavier the tails",
    )


class StudentT(LocationScale):
    """Student's t density of each value; see `LocationScale`."""

    config: StudentTConfig
    draws = 2

    def density(self, z: Tensor) -> Tensor:
        """See `LocationScale.density`."""
        from hvae_core.prob.location_scale import student_t_log_density

        return student_t_log_density(z, self.config.degrees_of_freedom)

    def standard_draw(self, uniform: Tensor) -> Tensor:
        """See `LocationScale.standard_draw`."""
        from hvae_core.prob.location_scale import student_t_draw

        return student_t_draw(uniform, self.config.degrees_of_freedom)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the likelihood."""
    return ComponentSpec(
        kind="likelihood",
        name="student-t",
        summary="Student's t density of floating-point images, in nats; robust to outliers",
        builder=StudentT,
        config=StudentTConfig,
        dtypes=("float32",),
        references=("Takahashi et al. 2018, Student-t Variational Autoencoder, IJCAI",),
    )
