"""The progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from hvae_core.runs.clock import in_hours
from hvae_core.runs.metrics import in_unit, unit_key
from hvae_core.training.callbacks import Callback, Run

#: seconds between two changes of the figures beside the bar
_REFRESH = 0.25


class ProgressDisplay(Callback):
    """Shows loss, rate, distortion, the bound, gradient norm, images/s and the time left.

    Args:
        console: where; by default stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._shown = 0.0

    def start(self, run: Run) -> None:
        """See `Callback.start`."""
        self._begun, self._first = time.monotonic(), run.step
        self._likelihood = run.model.likelihood
        self._dimensions = 1
        for size in run.model.image_shape:
            self._dimensions *= size
        if not self.console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=self.console,
        )
        self._task = self._bar.add_task(
            "train", total=run.total_steps, completed=run.step, epoch=run.epoch, figures="",
            left=self._time_left(run),
        )  # fmt: skip
        self._bar.start()

    def update(self, run: Run, figures: Mapping[str, Any]) -> None:
        """See `Callback.update`."""
        now = time.monotonic()
        if self._bar is None or now - self._shown < _REFRESH:
            return
        self._shown = now
        speed = self._speed(run, now)
        self._bar.update(
            self._task,
            completed=run.step,
            total=run.total_steps,
            epoch=run.epoch,
            figures=self.text({**figures, "images_per_second": speed}),
            left=self._time_left(run),
        )

    def record(self, run: Run, record: Mapping[str, Any]) -> None:
        """See `Callback.record`."""
        if record["event"] == "epoch":
            self._print(f"epoch {record['epoch']}, {self._position(run)}: {self.text(record)}")
        elif self._bar is None:
            self._print(f"{self._position(run)}: {self.text(record)}, {self._time_left(run)} left")

    def note(self, run: Run, text: str) -> None:
        """See `Callback.note`. Does not disturb the bar."""
        self._print(text)

    def close(self, run: Run) -> None:
        """See `Callback.close`."""
        if self._bar is not None:
            self._bar.update(self._task, completed=run.step)
            self._bar.stop()
            self._bar = None

    def text(self, figures: Mapping[str, Any]) -> str:
        """The figures in a line; those that are not there are left out."""
        parts = []
        for key in ("loss", "rate", "distortion", "regularizer", "posterior_kl"):
            if isinstance(figures.get(key), int | float):
                parts.append(f"{key} {figures[key]:.4f}")
        bound = self._bound(figures)
        if bound is not None:
            parts.append(bound)
        if isinstance(figures.get("gradient_norm"), int | float):
            parts.append(f"gradient norm {figures['gradient_norm']:.3g}")
        if figures.get("skipped"):
            parts.append(f"{int(figures['skipped'])} skipped")
        if figures.get("images_per_second"):
            parts.append(f"{figures['images_per_second']:.1f} images/s")
        validation = figures.get("validation")
        if validation:
            key = unit_key(self._likelihood.unit)
            parts.append(f"validation {validation[key]:.4f} {self._likelihood.unit}")
        return ", ".join(parts)

    def _bound(self, figures: Mapping[str, Any]) -> str | None:
        rate, distortion = figures.get("rate"), figures.get("distortion")
        if not (isinstance(rate, int | float) and isinstance(distortion, int | float)):
            return None
        unit = self._likelihood.unit
        return f"{in_unit(rate + distortion, unit, self._dimensions):.4f} {unit}"

    def _speed(self, run: Run, now: float) -> float:
        done = run.step - self._first
        return done * run.config.train.batch_size / max(1e-9, now - self._begun)

    def _position(self, run: Run) -> str:
        return f"step {run.step}/{run.total_steps}"

    def _time_left(self, run: Run) -> str:
        done, seconds = run.step - self._first, run.seconds_left
        if seconds is None:
            if not done:
                return "?"
            seconds = (time.monotonic() - self._begun) / done * (run.total_steps - run.step)
        return in_hours(seconds)

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
