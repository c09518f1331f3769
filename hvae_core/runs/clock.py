"""The time of a run whose length is ``train.minutes``, which its schedules follow."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hvae_core.backends.processes import in_each_process, process_index
from hvae_core.errors import BadInputError
from hvae_core.files.replacing import replace_file
from hvae_core.runs.appending import appending, flush, writing


def in_hours(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: 0:01:26."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class Clock:
    """Seconds of training that were over when each update began.

    Each is kept in a file of the run folder. A run that goes on from a checkpoint makes the updates
    that it had already made after it at the same times again, and so to the same numbers; time in
    which it did not run does not count. Of several processes the first tells all of them.

    Args:
        minutes: how long to train.
        path: the file, a number of seconds a line.
        now: gives the time in seconds.
    """

    def __init__(
        self, minutes: float, path: Path, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds, self.path, self._now = 60.0 * minutes, path, now
        self._times: list[float] = []
        self._start: float | None = None

    def resume(self) -> None:
        """Take back the times of earlier sessions.

        Raises:
            BadInputError: the file holds something else.
            TrainingError: it cannot be written.
        """
        self._times = read_times(self.path)
        if process_index() == 0 and self.path.is_file():  # without a line that was cut short
            with writing(self.path):
                replace_file(self.path, "".join(map(_line, self._times)))

    def flush(self) -> None:
        """Wait until the times are on the disk.

        Raises:
            TrainingError: they cannot be written.
        """
        with writing(self.path):
            flush(self.path)

    def begin(self, step: int, elapsed: float) -> None:
        """Start at update ``step``.

        Args:
            step: number of the next update, from 0.
            elapsed: seconds of training so far, for updates whose times are not known: the file is
                gone, or time did not decide when they were made. They are taken for equally long.
        """
        self._start = None
        missing = step - len(self._times)
        if missing > 0:
            last = self._times[-1] if self._times else 0.0
            each = max(0.0, elapsed - last) / missing
            self._keep([last + each * (place + 1) for place in range(missing)])

    def at(self, step: int) -> float:
        """Seconds over at the beginning of update ``step``, told once for each."""
        if self._start is None and step >= len(self._times) - 1:  # no earlier session was further
            self._start = self._now() - (self._times[-1] if self._times else 0.0)
        while len(self._times) <= step:
            assert self._start is not None
            self._keep([in_each_process(self._now() - self._start)[0]])
        return self._times[step]

    def part(self, step: int, since: int = 0) -> float:
        """The part of the time after update ``since`` that is over at update ``step``, 0 to 1."""
        start = self.at(since)
        return min(1.0, (self.at(step) - start) / max(1e-9, self.seconds - start))

    def is_over(self, step: int) -> bool:
        """Whether there is no time for update ``step``."""
        return self.at(step) >= self.seconds

    def updates(self, step: int, at_least: int) -> int:
        """How many updates there will be, judged by those up to ``step``; exact at the end.

        Args:
            step: updates made.
            at_least: the answer while there is nothing to judge by.
        """
        if self.is_over(step):
            return step
        part = self.part(step)
        return max(step + 1, round(step / part) if part > 0 else at_least)

    def _keep(self, seconds: list[float]) -> None:
        self._times += seconds
        if process_index() == 0:
            with appending(self.path) as file:
                file.write("".join(map(_line, seconds)).encode())


def read_times(path: Path) -> list[float]:
    """The seconds of a clock's file; those of a line that was cut short are left out.

    Raises:
        BadInputError: the file holds something else.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    try:
        times = [float(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    except ValueError:
        times = [math.nan]
    if not all(a <= b < math.inf for a, b in itertools.pairwise([0.0, *times])):
        raise BadInputError(
            f"{path} is damaged: it should hold rising seconds, one a line.",
            "Remove the file: the updates after the newest checkpoint are then made anew.",
        )
    return times


def ended_at(times: Sequence[float], minutes: float) -> int | None:
    """The number of updates after which there was no time left; None while there is some."""
    return next((step for step, begun in enumerate(times) if begun >= 60.0 * minutes), None)


def _line(seconds: float) -> str:
    return f"{seconds!r}\n"
