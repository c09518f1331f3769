"""The figures of a run on their way to its trackers, whose failures harm nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from hvae_core.config import Component, TrainConfig, create_component
from hvae_core.errors import ConfigError, MissingDependencyError
from hvae_core.interfaces import Tracker
from hvae_core.training.callbacks import Callback, Run


def tracking(train: TrainConfig) -> Iterator[Tracking]:
    """A callback for each of ``train.trackers``, and for TensorBoard where it is installed.

    Raises:
        MissingDependencyError: the package of one that is named is not installed.
    """
    if train.tensorboard and all(tracker.name != "tensorboard" for tracker in train.trackers):
        # True by default, it asks for TensorBoard where there is one.
        with suppress(MissingDependencyError, ConfigError):
            yield Tracking.of(create_component("tracker", "tensorboard"))
    for tracker in train.trackers:
        yield Tracking.of(tracker)


class Tracking(Callback):
    """Hands a run's configuration, records and pictures to a tracker.

    A tracker that raises is told once and left out from then on.

    Args:
        name: the tracker's, for the user.
        tracker: what they are handed to.
    """

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name = name
        self._tracker: Tracker | None = tracker

    @classmethod
    def of(cls, component: Component) -> Tracking:
        """The callback for a tracker that a configuration names.

        Raises:
            MissingDependencyError: its package is not installed.
        """
        return cls(component.name, component.build())

    def start(self, run: Run) -> None:
        """See `Callback.start`."""
        values, name = run.config.to_dict(), run.output.resolve().name
        self._call(run, lambda tracker: tracker.start(values, name, run.output, run.step))

    def record(self, run: Run, record: Mapping[str, Any]) -> None:
        """See `Callback.record`. Every number of every record, by names such as train/loss."""
        values = scalars(record)
        self._call(run, lambda tracker: tracker.scalars(record["step"], values))

    def image(self, run: Run, name: str, image: np.ndarray) -> None:
        """See `Callback.image`."""
        self._call(run, lambda tracker: tracker.image(run.step, name, image))

    def close(self, run: Run) -> None:
        """See `Callback.close`."""
        self._call(run, lambda tracker: tracker.finish())
        self._tracker = None

    def _call(self, run: Run, function: Callable[[Tracker], None]) -> None:
        tracker = self._tracker
        if tracker is None:
            return
        try:
            function(tracker)
        except Exception as error:  # figures elsewhere are not worth a run: metrics.jsonl has all
            self._tracker = None
            reason = " ".join(str(error).split()) or type(error).__name__
            run.note(
                f"The tracker {self.name} failed and is left out from here on: "
                f"{reason.rstrip('.')}. metrics.jsonl has all figures."
            )


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """A record's numbers under ``train/``, ``epoch/`` and ``validation/``."""
    prefix = "train" if record["event"] == "step" else "epoch"
    named = {
        **{f"{prefix}/{key}": value for key, value in flat(record).items()},
        **{f"validation/{key}": v for key, v in flat(record.get("validation") or {}).items()},
    }
    for key in ("step", "epoch"):
        named.pop(f"{prefix}/{key}", None)
    return named


def flat(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record; those of a list get the key ``name/00`` and so on."""
    numbers: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers[key] = float(value)
        elif isinstance(value, list | tuple):
            numbers |= {f"{key}/{i:02d}": float(v) for i, v in enumerate(value) if v is not None}
    return numbers
