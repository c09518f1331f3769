"""Half a cosine to the final learning rate."""

from __future__ import annotations

import math
from typing import Any

from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class Cosine(Schedule):
    """From the full learning rate to the final one by half a cosine."""

    def __init__(self, options: Any, settings: ScheduleSettings) -> None:
        self.full, self.final = settings.learning_rate, settings.final_learning_rate

    def rate(self, progress: Progress) -> float:
        """See `Schedule.rate`."""
        fall = 0.5 * (1.0 + math.cos(math.pi * progress.fraction))
        return self.final + (self.full - self.final) * fall


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the schedule."""
    return ComponentSpec(
        kind="schedule",
        name="cosine",
        summary="Half a cosine to train.final_learning_rate",
        builder=Cosine,
        references=("Loshchilov & Hutter 2017, SGDR, arXiv 1608.03983",),
    )
