"""The full learning rate to the end."""

from __future__ import annotations

from typing import Any

from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class Constant(Schedule):
    """The full learning rate."""

    def __init__(self, options: Any, settings: ScheduleSettings) -> None:
        self.full = settings.learning_rate

    def rate(self, progress: Progress) -> float:
        """See `Schedule.rate`."""
        return self.full


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the schedule."""
    return ComponentSpec(
        kind="schedule",
        name="constant",
        summary="The full learning rate to the end",
        builder=Constant,
    )
