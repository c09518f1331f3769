"""Half a cosine to the final learning rate."""

from __future__ import annotations

import math

import pydantic

from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class CosineOptions(pydantic.BaseModel):
    """Options of the schedule."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    decay_start: pydantic.NonNegativeInt | None = pydantic.Field(
        None, description="the run's update that the fall starts at; null: the warm-up's end"
    )
    decay_steps: pydantic.PositiveInt | None = pydantic.Field(
        None, description="updates of the fall; null: as many as there are"
    )


class Cosine(Schedule):
    """From the full learning rate to the final one by half a cosine.

    With ``decay_start`` and ``decay_steps`` the full rate is held up to the one, and the final one
    after the other, as in the JAX edition of Efficient-VDVAE (Hazami et al. 2022).
    """

    def __init__(self, options: CosineOptions, settings: ScheduleSettings) -> None:
        self.full, self.final = settings.learning_rate, settings.final_learning_rate
        self.start, self.steps = options.decay_start, options.decay_steps

    def rate(self, progress: Progress) -> float:
        """See `Schedule.rate`."""
        done = progress.fraction
        if self.start is not None or self.steps is not None:
            # The warm-up is over, whenever the fall was to start.
            held = max(0, (self.start or 0) - progress.warmup)
            steps = self.steps or max(1, progress.steps - held)
            done = min(1.0, max(0, progress.step - held) / steps)
        fall = 0.5 * (1.0 + math.cos(math.pi * done))
        return self.final + (self.full - self.final) * fall


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the schedule."""
    return ComponentSpec(
        kind="schedule",
        name="cosine",
        summary="Half a cosine to train.final_learning_rate",
        builder=Cosine,
        config=CosineOptions,
        references=("Loshchilov & Hutter 2017, SGDR, arXiv 1608.03983",),
    )
