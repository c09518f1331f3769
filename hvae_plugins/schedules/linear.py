"""A straight line to the final learning rate."""

from __future__ import annotations

from typing import Any

from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class Linear(Schedule):
    """From the full learning rate to the final one in a straight line."""

    def __init__(self, options: Any, settings: ScheduleSettings) -> None:
        self.full, self.final = settings.learning_rate, settings.final_learning_rate

    def rate(self, progress: Progress) -> float:
        """See `Schedule.rate`."""
        return self.full + (self.final - self.full) * progress.fraction


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the schedule."""
    return ComponentSpec(
        kind="schedule",
        name="linear",
        summary="A straight line to train.final_learning_rate",
        builder=Linear,
        references=(
            "Defazio et al. 2023, When, Why and How Much? Adaptive Learning Rate Scheduling by "
            "Refinement, arXiv 2310.07831",
        ),
    )
