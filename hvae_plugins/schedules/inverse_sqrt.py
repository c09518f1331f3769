"""One by the root of the updates made: a schedule that knows no end."""

from __future__ import annotations

import math

import pydantic

from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class InverseSqrtOptions(pydantic.BaseModel):
    """Options of the schedule."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    timescale: pydantic.PositiveInt | None = pydantic.Field(
        None,
        description="updates after which the rate has fallen to 1 / sqrt(2); null: as many as the "
        "warm-up has",
    )


class InverseSqrt(Schedule):
    """``full sqrt(T / (T + n))`` after n updates; does not depend on the run's length."""

    def __init__(self, options: InverseSqrtOptions, settings: ScheduleSettings) -> None:
        self.full, self.timescale = settings.learning_rate, options.timescale

    def rate(self, progress: Progress) -> float:
        """See `Schedule.rate`."""
        timescale = self.timescale or max(1, progress.warmup)
        return self.full * math.sqrt(timescale / (timescale + progress.step))


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the schedule."""
    return ComponentSpec(
        kind="schedule",
        name="inverse-sqrt",
        summary="By the inverse root of the updates; it does not depend on the run's length",
        builder=InverseSqrt,
        config=InverseSqrtOptions,
        references=("Vaswani et al. 2017, Attention Is All You Need, arXiv 1706.03762",),
    )
