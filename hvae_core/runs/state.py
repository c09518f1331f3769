"""Where a run stands, which a checkpoint holds beside weights and optimizer, and how it ended."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hvae_core.errors import WeightsError
from hvae_core.files.foreign_numbers import is_number, is_whole
from hvae_core.runs.metrics import RunningMeans

_COUNTS = (
    *("step", "images", "skipped", "nonfinite", "nonfinite_in_a_row"),
    *("best_step", "stale_epochs", "skipped_in_a_row"),
)
_NUMBERS = ("elapsed", "best_elbo")
_MAY_BE_NONE = ("best_step", "best_elbo")


@dataclasses.dataclass
class TrainState:
    """The counters of a run, all of which fit into ``state.json``.

    Order of the data, augmentation and noise follow from ``train.seed`` and ``step`` alone, so
    this, the weights and the optimizer's variables are all that a resumed run needs.

    Args:
        step: updates made.
        images: images seen, without a regularizer's copies.
        elapsed: seconds of training and evaluation, over all sessions.
        skipped: updates dropped, the non-finite ones included.
        skipped_in_a_row: of them, those since the last one that was made.
        nonfinite: updates dropped because loss or gradient was not finite.
        nonfinite_in_a_row: of them, those since the last finite one.
        best_step: update with the best validation ELBO, once there is one.
        best_elbo: that ELBO in nats.
        stale_epochs: epochs since it.
        validation: the last validation's figures.
        window: means since the last logged update.
        epoch: means since the last epoch's end.
    """

    step: int = 0
    images: int = 0
    elapsed: float = 0.0
    skipped: int = 0
    skipped_in_a_row: int = 0
    nonfinite: int = 0
    nonfinite_in_a_row: int = 0
    best_step: int | None = None
    best_elbo: float | None = None
    stale_epochs: int = 0
    validation: dict[str, Any] | None = None
    window: RunningMeans = dataclasses.field(default_factory=RunningMeans)
    epoch: RunningMeans = dataclasses.field(default_factory=RunningMeans)

    def add(self, figures: Mapping[str, Any]) -> None:
        """Count the figures of an update."""
        self.window.add(figures)
        self.epoch.add(figures)
        skipped = int(figures["skipped"])
        self.skipped += skipped
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if skipped else 0
        nonfinite = int(figures["nonfinite"])
        self.nonfinite += nonfinite
        self.nonfinite_in_a_row = self.nonfinite_in_a_row + 1 if nonfinite else 0

    def offer(self, elbo: float, epochs: int) -> bool:
        """Compare a validation ELBO with the best one.

        Args:
            elbo: in nats.
            epochs: since the last comparison.

        Returns:
            Whether it is the best so far.
        """
        if math.isfinite(elbo) and (self.best_elbo is None or elbo > self.best_elbo):
            self.best_elbo, self.best_step, self.stale_epochs = elbo, self.step, 0
            return True
        self.stale_epochs += epochs
        return False

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**values, "window": self.window.state(), "epoch": self.epoch.state()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainState:
        """What `to_dict` gave; keys that this version does not know are passed over.

        Raises:
            WeightsError: it is something else.
        """
        check_counters(values)
        known = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
        state = cls(**{k: v for k, v in known.items() if k not in ("window", "epoch")})
        for key, means in (("window", state.window), ("epoch", state.epoch)):
            try:
                means.load_state(values[key])
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise WeightsError(f"Its {key!r} holds no means of updates.") from error
        return state


def check_counters(values: Mapping[str, Any]) -> None:
    """Refuse counters that no run wrote; those that are missing are passed over.

    Raises:
        WeightsError: one is no number, or below 0.
    """
    for key in (*_COUNTS, *_NUMBERS):
        value = values.get(key, 0)
        if value is None and key in _MAY_BE_NONE:
            continue
        if key == "best_elbo":  # the first one is the best, however low
            is_sound = is_number(value, sys.float_info.max)
        else:
            is_sound = is_whole(value) if key in _COUNTS else is_number(value) and value >= 0
        if not is_sound:
            raise WeightsError(f"Its {key!r} is no number of a run.")
    if not isinstance(values.get("validation"), Mapping | None):
        raise WeightsError("Its 'validation' holds no figures.")


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Args:
        output: the run folder.
        steps: updates made, over all sessions.
        metrics: the last validation's figures, of the averaged weights; empty without validation.
        stopped_early: whether ``train.patience`` ended it.
    """

    output: Path
    steps: int
    metrics: dict[str, Any]
    stopped_early: bool = False
