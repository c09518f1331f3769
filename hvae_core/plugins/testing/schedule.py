"""The contract of learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from hvae_core.interfaces import Progress, Schedule, ScheduleSettings
from hvae_core.plugins.testing.component import ComponentContract


class ScheduleContract(ComponentContract):
    """A schedule gives the learning rate of an update from its place in the run alone."""

    kind = "schedule"
    needs_keras = False

    def make(self, config: dict[str, Any], **settings: Any) -> Schedule:
        """The schedule, for a run with these settings."""
        return self.component.build(self.options(config), ScheduleSettings(**settings))

    def places(self, steps: int = 50) -> Iterator[Progress]:
        """Every update of a run, and one after its end."""
        for step in range(steps + 1):
            yield Progress(step / steps, step, steps, warmup=10)
        yield Progress(1.0, steps + 20, steps, warmup=10)

    def test_every_update_has_a_rate(self, config: dict[str, Any]) -> None:
        """A finite float, not negative, for runs of one update and of many, with warm-up or not."""
        for settings in ({}, {"learning_rate": 3.0, "final_learning_rate": 0.5, "restarts": 1}):
            schedule = self.make(config, **settings)
            assert isinstance(schedule, Schedule)
            ends = (Progress(0.0, 0, 1), Progress(1.0, 1, 1))
            for progress in (*self.places(), *ends):
                rate = schedule.rate(progress)
                assert isinstance(rate, float), f"the rate is of type {type(rate).__name__}"
                assert math.isfinite(rate), f"the rate is {rate} at {progress}"
                assert rate >= 0, f"the rate is {rate} at {progress}"

    def test_it_follows_the_learning_rate(self, config: dict[str, Any]) -> None:
        """All settings' rates times ten: its rates times ten."""
        rates = self.make(config, learning_rate=0.01, final_learning_rate=0.001)
        tenfold = self.make(config, learning_rate=0.1, final_learning_rate=0.01)
        for progress in self.places():
            one, ten = rates.rate(progress), tenfold.rate(progress)
            assert math.isclose(10 * one, ten, rel_tol=1e-6), f"{one} and {ten} at {progress}"

    def test_it_remembers_nothing(self, config: dict[str, Any]) -> None:
        """The same rates backwards and from a new one: a resumed run follows the same curve."""
        schedule = self.make(config)
        rates = [schedule.rate(progress) for progress in self.places()]
        backwards = [schedule.rate(progress) for progress in reversed(list(self.places()))]
        assert rates == backwards[::-1], "a rate depends on those asked for before"
        again = self.make(config)
        assert rates == [again.rate(progress) for progress in self.places()]
