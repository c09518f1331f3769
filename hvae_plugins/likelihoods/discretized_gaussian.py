"""The discretized Gaussian as a plugin: for integers of any number of bits up to 16."""

from __future__ import annotations

import math

from hvae_core.interfaces import UINT8, ImageValues, Shape3, Tensor
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.likelihoods.level_count import LevelCount, count_levels
from hvae_plugins.likelihoods.location_scale import LocationScale, ScaleOptions


class DiscretizedGaussianConfig(ScaleOptions):
    """Options of the discretized Gaussian."""

    levels: LevelCount = None


class DiscretizedGaussian(LocationScale):
    """The probability of a level is the Gaussian's between its neighbours' middles.

    The first and the last level have all that lies beyond them, so that the sum is 1 (Ho et al.
    2020, section 3.3).
    """

    def __init__(
        self,
        config: DiscretizedGaussianConfig,
        image_shape: Shape3,
        values: ImageValues = UINT8,
    ) -> None:
        from hvae_core.prob.levels import Levels

        count = count_levels(config.levels, values)
        self.grid = Levels(values, count)
        super().__init__(config, image_shape, values)
        self.levels = count

    @property
    def default_floor(self) -> float:
        """See `LocationScale.default_floor`."""
        return self.grid.log_scale_floor

    def log_prob(self, x: Tensor, parameters: Tensor) -> Tensor:
        """See `Likelihood.log_prob`."""
        from keras import ops

        from hvae_core.prob import normal
        from hvae_core.prob.gaussian import sum_event

        location, log_scale = self.read(parameters)
        place, half_bin = self.grid.place(x), self.grid.half_bin
        inverse = ops.exp(-log_scale)
        z, half = (place - location) * inverse, half_bin * inverse
        edge = 1.0 - half_bin
        log_p = ops.where(
            place < -edge,
            normal.log_cdf(z + half),
            ops.where(place > edge, normal.log_cdf(half - z), normal.log_interval(z, half)),
        )
        return sum_event(log_p)

    def standard_draw(self, uniform: Tensor) -> Tensor:
        """See `LocationScale.standard_draw`."""
        from hvae_core.prob.location_scale import gaussian_draw

        return gaussian_draw(uniform)

    def sample(self, parameters: Tensor, noise: Tensor, temperature: float = 1.0) -> Tensor:
        """See `Likelihood.sample`: the level nearest to a draw of the Gaussian."""
        from keras import ops

        location, log_scale = self.read(parameters)
        drawn = location + temperature * ops.exp(log_scale) * self.standard_draw(noise)
        return self.grid.integers(drawn)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.mean`: of the Gaussian cut off at the range, without the rounding.

        ``E clip(X, -1, 1) = -1 + s G((m + 1) / s) - s G((m - 1) / s)`` for location m and scale s,
        with ``G(t) = E max(t + Z, 0) = t Phi(t) + phi(t)``.
        """
        from keras import ops

        from hvae_core.prob import normal

        location, log_scale = self.read(parameters)
        scale = ops.exp(log_scale)

        def ramp(t: Tensor) -> Tensor:
            t = ops.clip(t, -1e4, 1e4)
            density = ops.exp(-0.5 * t * t) * (1.0 / math.sqrt(2.0 * math.pi))
            return t * ops.exp(normal.log_cdf(t)) + density

        low, high = (location + 1.0) / scale, (location - 1.0) / scale
        clipped = ops.where(
            ops.abs(low) > 1e4,
            ops.clip(location, -1.0, 1.0),
            -1.0 + scale * (ramp(low) - ramp(high)),
        )
        return self.native(ops.clip(clipped, -1.0, 1.0))


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the likelihood."""
    return ComponentSpec(
        kind="likelihood",
        name="discretized-gaussian",
        summary="Gaussian of 8 to 16 bits, or of fewer levels",
        builder=DiscretizedGaussian,
        config=DiscretizedGaussianConfig,
        dtypes=("uint8", "uint16"),
        references=("Ho et al. 2020, Denoising Diffusion Probabilistic Models, arXiv 2006.11239",),
    )
