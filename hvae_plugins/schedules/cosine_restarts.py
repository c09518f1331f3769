"""Equal half cosines, each of which starts at the full learning rate."""

from __future__ import annotations

import math
from typing import Any

from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class CosineRestarts(Schedule):
    """``train.restarts`` equal half cosines from the full learning rate to the final one."""

    def __init__(self, options: Any, settings: ScheduleSettings) -> None:
        self.full, self.final = settings.learning_rate, settings.final_learning_rate
        self.restarts = settings.restarts

    def rate(self, progress: Progress) -> float:
        """See `Schedule.rate`."""
        done = progress.fraction
        if done < 1.0:
            done = (done * self.restarts) % 1.0
        return self.final + (self.full - self.final) * 0.5 * (1.0 + math.cos(math.pi * done))


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the schedule."""
    return ComponentSpec(
        kind="schedule",
        name="cosine-restarts",
        summary="train.restarts half cosines, each from the full learning rate",
        builder=CosineRestarts,
        references=("Loshchilov & Hutter 2017, SGDR, arXiv 1608.03983",),
    )
