"""The contract of trackers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.interfaces import Tracker
from hvae_core.plugins.testing.component import ComponentContract

CONFIG = {"model": {"width": [8, 16]}, "train": {"steps": 4, "clip_norm": None, "optimizer": "sgd"}}


class TrackerContract(ComponentContract):
    """A tracker takes a run's configuration, numbers and pictures, and goes on after a stop.

    Give ``configs`` that reach no network.
    """

    kind = "tracker"
    needs_keras = False

    def make(self, config: dict[str, Any]) -> Tracker:
        """The tracker."""
        return self.component.build(self.options(config))

    def session(self, tracker: Tracker, folder: Path, first: int) -> None:
        """A few updates of a run, from ``first`` on."""
        tracker.start(CONFIG, "a run", folder, first)
        for step in range(first + 1, first + 4):
            tracker.scalars(step, {"train/loss": 1.0 / step, "train/kl_per_layer/00": 0.0})
        for channels in (1, 3):
            image = np.full((9, 7, channels), 128, np.uint8)
            tracker.image(first + 3, f"samples-{channels}", image)
        tracker.scalars(first + 3, {"validation/elbo": -12.5})
        tracker.finish()

    def test_a_run_goes_on_after_a_stop(self, config: dict[str, Any], tmp_path: Path) -> None:
        """Two sessions in one folder, the second of which makes some steps again."""
        before = os.getcwd()
        for first in (0, 2):
            tracker = self.make(config)
            assert isinstance(tracker, Tracker)
            self.session(tracker, tmp_path, first)
        assert os.getcwd() == before, "the working folder was changed"

    def test_it_takes_numbers_that_are_not_finite(
        self, config: dict[str, Any], tmp_path: Path
    ) -> None:
        """A loss may be infinite or no number."""
        tracker = self.make(config)
        tracker.start(CONFIG, "a run", tmp_path, 0)
        tracker.scalars(1, {"train/loss": float("nan"), "train/rate": float("inf")})
        tracker.finish()
