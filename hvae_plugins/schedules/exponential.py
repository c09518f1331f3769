"""A geometric decay to the final learning rate."""

from __future__ import annotations

from typing import Any

from hvae_core.errors import ConfigError
from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class Exponential(Schedule):
    """From the full learning rate to the final one by a constant factor an update."""

    def __init__(self, options: Any, settings: ScheduleSettings) -> None:
        self.full, self.final = settings.learning_rate, settings.final_learning_rate
        if not self.final:
            raise ConfigError(
                "train.final_learning_rate is 0, which an exponential schedule never reaches.",
                "Set it above 0, or set train.schedule to cosine.",
            )

    def rate(self, progress: Progress) -> float:
        """See `Schedule.rate`."""
        return float(self.full * (self.final / self.full) ** progress.fraction)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the schedule."""
    return ComponentSpec(
        kind="schedule",
        name="exponential",
        summary="By a constant factor an update to train.final_learning_rate",
        builder=Exponential,
    )
