"""The full learning rate, then a short decay at the end."""

from __future__ import annotations

import math
from typing import Literal

import pydantic

from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class WarmupStableDecayOptions(pydantic.BaseModel):
    """Options of the schedule."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    decay_fraction: float = pydantic.Field(
        0.2, gt=0, le=1, description="part of the updates after the warm-up in which it decays"
    )
    decay: Literal["sqrt", "linear", "cosine"] = pydantic.Field(
        "sqrt", description="how it decays: sqrt is 1 - sqrt(t), t being the decay's part done"
    )


class WarmupStableDecay(Schedule):
    """The full learning rate, and in the last part of the run a decay to the final one."""

    def __init__(self, options: WarmupStableDecayOptions, settings: ScheduleSettings) -> None:
        self.full, self.final = settings.learning_rate, settings.final_learning_rate
        self.options = options

    def rate(self, progress: Progress) -> float:
        """See `Schedule.rate`."""
        fraction = self.options.decay_fraction
        done = max(0.0, (progress.fraction - (1.0 - fraction)) / fraction)
        left = {
            "sqrt": 1.0 - math.sqrt(done),
            "linear": 1.0 - done,
            "cosine": 0.5 * (1.0 + math.cos(math.pi * done)),
        }[self.options.decay]
        return self.final + (self.full - self.final) * left


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the schedule."""
    return ComponentSpec(
        kind="schedule",
        name="warmup-stable-decay",
        summary="The full learning rate, then a decay in the last part of the run",
        builder=WarmupStableDecay,
        config=WarmupStableDecayOptions,
        references=(
            "Hu et al. 2024, MiniCPM, arXiv 2404.06395",
            "Hägele et al. 2024, Scaling Laws and Compute-Optimal Training Beyond Fixed Training "
            "Durations, arXiv 2405.18392",
        ),
    )
