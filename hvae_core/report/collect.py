"""What a run folder says of its run, while it goes on or after. Reading it imports no Keras."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.config import Config
from hvae_core.errors import BadInputError, HvaeError
from hvae_core.files.foreign_numbers import is_number, is_whole
from hvae_core.runs.checkpoints import read_state
from hvae_core.runs.clock import ended_at, read_times
from hvae_core.runs.metrics import MetricsFile, unit_key
from hvae_core.runs.run_folder import RunFolder, is_run_folder

if TYPE_CHECKING:
    from hvae_core.interfaces import Dataset

Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """What is known of a run.

    Args:
        path: the run folder.
        config: its configuration.
        steps: the records of logged updates, in order.
        epochs: the records of epochs, in order.
        sessions: when it was started and resumed, on what.
        times: seconds over at the beginning of each update, where ``train.minutes`` is given.
        state: the newest checkpoint's counters; empty where there is none.
        dataset: the configuration's data set, where it is open already.
    """

    path: Path
    config: Config
    steps: list[Record]
    epochs: list[Record]
    sessions: list[Record]
    state: Record
    times: list[float] = dataclasses.field(default_factory=list)
    dataset: Dataset | None = None

    @property
    def trained(self) -> list[Record]:
        """The records to draw: those of updates, or of epochs where none was logged."""
        return self.steps or self.epochs

    @property
    def validated(self) -> list[Record]:
        """The records of epochs after which there was a validation."""
        return [record for record in self.epochs if record.get("validation")]

    @property
    def last(self) -> Record:
        """The newest record; empty before the first."""
        records = sorted([*self.steps[-1:], *self.epochs[-1:]], key=lambda r: r["step"])
        return records[-1] if records else {}

    @property
    def step(self) -> int:
        """Updates known of."""
        return max(int(self.last.get("step", 0)), int(self.state.get("step", 0)))

    @property
    def total_steps(self) -> int | None:
        """Updates asked for; None while nothing tells how many they are."""
        train = self.config.train
        if train.minutes is not None:
            return ended_at(self.times, train.minutes)
        if train.steps is not None:
            return train.steps
        whole = [r for r in self.epochs if is_whole(r.get("epoch"), 1)]
        if train.epochs is None or not whole:
            return None
        # An epoch that a session ended within has less.
        return train.epochs * max(round(r["step"] / r["epoch"]) for r in whole)

    @cached_property
    def unit(self) -> str:
        """The unit of the likelihood's bounds: bits/dim or nats.

        A record of training tells it. With ``train.objective: partial-posterior`` there is no bound
        in one, and the likelihood is asked, which imports Keras.
        """
        for unit in ("nats", "bits/dim"):
            if any(unit_key(unit) in record for record in self.trained[:1]):
                return unit
        if self.config.train.objective == "evidence":
            return "bits/dim"
        return self.config.build_likelihood().unit

    @property
    def status(self) -> str:
        """How far it is, in words."""
        total = self.total_steps
        if total is not None and self.step >= total:
            return "finished"
        patience, stale = self.config.train.patience, self.state.get("stale_epochs", 0)
        if patience is not None and stale >= patience:
            return "stopped early"
        return "not finished"


def collect(run: str | Path) -> RunFacts:
    """Read a run folder.

    A last line of ``metrics.jsonl`` that was cut short, a damaged checkpoint, or files that an
    older version did not write are passed over.

    Raises:
        BadInputError: the folder holds no run.
        ConfigError: its ``config.yaml`` is not valid.
    """
    if not is_run_folder(run):
        raise BadInputError(
            f"{run} is not the folder of a training run.", "Give the --output of hvae train."
        )
    folder = RunFolder(run)
    records = [_clean(r) for r in MetricsFile(folder.metrics_path).read() if "event" in r]
    return RunFacts(
        path=folder.path,
        config=folder.read_config(),
        steps=[record for record in records if record["event"] == "step"],
        epochs=[record for record in records if record["event"] == "epoch"],
        sessions=MetricsFile(folder.sessions_path).read(),
        state=_newest_state(folder),
        times=_times(folder),
    )


def _clean(record: Record) -> Record:
    """A record's figures: finite numbers and lists of them, which the validation's are too."""
    kept = {key: value for key, value in record.items() if _is_figure(value)}
    if isinstance(record.get("validation"), dict):
        kept["validation"] = _clean(record["validation"])
    return {**kept, **{key: record[key] for key in ("event", "step") if key in record}}


def _is_figure(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_number, value))
    return _is_number(value)


def _is_number(value: Any) -> bool:
    return is_number(value, 1e300)


def _newest_state(folder: RunFolder) -> Record:
    checkpoints = folder.checkpoints()
    for step in reversed(checkpoints.steps()):
        try:
            return read_state(checkpoints.path(step))
        except HvaeError:  # it may just be going, or be damaged: an older one will do
            continue
    return {}


def _times(folder: RunFolder) -> list[float]:
    try:
        return read_times(folder.clock_path)
    except HvaeError:
        return []


def held_out(facts: RunFacts) -> list[int]:
    """The numbers of the validation images; empty where there are none."""
    try:
        found = RunFolder(facts.path).validation_record()
    except HvaeError:
        return []
    return [] if found is None else [int(index) for index in found.indices]
