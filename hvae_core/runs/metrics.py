"""Means over updates, and the file they are written to."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.errors import TrainingError
from hvae_core.files.foreign_numbers import is_whole
from hvae_core.files.json_files import plain
from hvae_core.files.replacing import disk_errors, replace_file
from hvae_core.runs.appending import appending, flush, writing

#: figures that are counted instead of averaged
COUNTED = ("skipped", "nonfinite")


class RunningMeans:
    """Means of the figures of several updates.

    An update with a figure that is not finite is counted, but left out of the means. All of it
    fits into a checkpoint (`state`), so that an epoch may be interrupted.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all updates."""
        self.steps = self.skipped = self.nonfinite = self._averaged = 0
        self._sums: dict[str, np.ndarray] = {}

    def add(self, figures: Mapping[str, Any]) -> None:
        """Count an update; ``skipped`` and ``nonfinite`` are 0 or 1, the others are averaged."""
        self.steps += 1
        self.skipped += int(figures.get("skipped", 0))
        values = {
            key: np.asarray(value, dtype=np.float64)
            for key, value in figures.items()
            if key not in COUNTED
        }
        finite = all(np.isfinite(value).all() for value in values.values())
        if figures.get("nonfinite", 0) or not finite:
            self.nonfinite += 1
            return
        self._averaged += 1
        for key, value in values.items():
            self._sums[key] = self._sums[key] + value if key in self._sums else value

    def means(self) -> dict[str, Any]:
        """The means as floats and lists of floats, and the counts of `COUNTED`."""
        means = {key: (value / self._averaged).tolist() for key, value in self._sums.items()}
        return {**means, "skipped": self.skipped, "nonfinite": self.nonfinite}

    def state(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "steps": self.steps,
            "skipped": self.skipped,
            "nonfinite": self.nonfinite,
            "averaged": self._averaged,
            "sums": {key: value.tolist() for key, value in self._sums.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, OverflowError: it is something else.
        """
        counts = [state[key] for key in ("steps", "skipped", "nonfinite", "averaged")]
        if not all(map(is_whole, counts)):
            raise ValueError("counts that are no whole numbers")
        self.steps, self.skipped, self.nonfinite, self._averaged = counts
        self._sums = {key: np.asarray(v, dtype=np.float64) for key, v in state["sums"].items()}


def in_unit(nats_per_dim: float, unit: str, dimensions: int) -> float:
    """A bound in nats per dimension in the likelihood's unit: bits/dim, or nats of an image."""
    return nats_per_dim / math.log(2.0) if unit == "bits/dim" else nats_per_dim * dimensions


def unit_key(unit: str) -> str:
    """The key of a bound in this unit in metrics.jsonl: ``bits_per_dim`` or ``nats``."""
    return "bits_per_dim" if unit == "bits/dim" else "nats"


class MetricsFile:
    """``metrics.jsonl``: one JSON object a line, each with ``event`` and ``step``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            TrainingError: it cannot be written.
        """
        line = json.dumps(plain(record)).encode() + b"\n"
        with appending(self.path) as file:
            if file.tell():  # after a line that a crash cut short, begin a new one
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)

    def flush(self) -> None:
        """Wait until all lines are on the disk.

        Raises:
            TrainingError: they cannot be written.
        """
        with writing(self.path):
            flush(self.path)

    def read(self) -> list[dict[str, Any]]:
        """The records; what is none, such as a line cut short by a crash, is passed over.

        Raises:
            TrainingError: the file cannot be read.
        """
        if not self.path.is_file():
            return []
        with disk_errors(f"read {self.path}", "", TrainingError):
            lines = self.path.read_bytes().split(b"\n")
        records = []
        for line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and is_whole(record.get("step")):
                records.append(record)
        return records

    def truncate(self, step: int) -> None:
        """Drop the records of updates after ``step``, which a resumed run makes again.

        Raises:
            TrainingError: the file cannot be read or written.
        """
        kept = [record for record in self.read() if record["step"] <= step]
        with disk_errors(f"write {self.path}", "", TrainingError):
            replace_file(self.path, "".join(json.dumps(record) + "\n" for record in kept))
