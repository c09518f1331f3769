"""A training run under way: updates, records, validation, checkpoints."""

from __future__ import annotations

import collections
import math
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hvae_core.backends.processes import all_or_none, any_process, process_count, process_index
from hvae_core.config import Config
from hvae_core.data import prefetch
from hvae_core.data.given import PYTHON
from hvae_core.errors import TrainingError
from hvae_core.interfaces import Batch
from hvae_core.runs.checkpoints import Checkpoint
from hvae_core.runs.clock import Clock
from hvae_core.runs.metrics import MetricsFile, in_unit, unit_key
from hvae_core.runs.run_folder import RunFolder
from hvae_core.runs.state import TrainResult, TrainState
from hvae_core.training import schedules
from hvae_core.training.callbacks import Callback
from hvae_core.training.feeding import Images
from hvae_core.training.interruption import InterruptedRun, Interruption

if TYPE_CHECKING:
    from hvae_core.vae import HierarchicalVAE


class Step(Protocol):
    """What makes a run's updates: `hvae_core.training.step.TrainStep`, or what stands in for it."""

    def __call__(
        self, batch: Batch, *, step: int, learning_rate: float, beta: float
    ) -> Mapping[str, Any]:
        """One update; its figures, which may still be on the device."""

    def read(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        """The figures of an update as floats and arrays."""

    def validate(self, batches: Iterable[Batch], seed: int) -> dict[str, float]:
        """Figures of the objective on held-out images, beside those of any model."""

    def weights(self) -> dict[str, np.ndarray]:
        """The weights being trained, by name."""

    def state(self) -> dict[str, np.ndarray]:
        """The state of optimizer and averages, as a checkpoint keeps it."""

    def load(
        self, weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray], source: str
    ) -> None:
        """Take back what `weights` and `state` gave; ``source`` is told where they do not fit."""

    def ema_weights(self) -> AbstractContextManager[None]:
        """Inside, the model holds the averaged weights."""


#: updates whose figures may still be on the device; reading them later keeps the device busy
_LAG = 2


class TrainingRun:
    """A run under way; callbacks see it as `hvae.callbacks.Run`.

    Args:
        config: the configuration.
        images: the images of the run.
        folder: where it is kept.
        callbacks: what watches it.
        model: the model.
        train_step: updates it.
    """

    def __init__(
        self,
        config: Config,
        images: Images,
        folder: RunFolder,
        callbacks: Sequence[Callback],
        model: HierarchicalVAE,
        train_step: Step,
    ) -> None:
        self.config = config
        self.output = folder.path
        self.is_main = process_index() == 0
        self.images = images
        self.callbacks = list(callbacks)
        self.metrics = MetricsFile(folder.metrics_path)
        self.checkpoints = folder.checkpoints(config.train.keep_checkpoints)
        self.state = TrainState()
        self.model, self.train_step = model, train_step
        self.batches = images.training_batches(config)
        self.steps_per_epoch = self.batches.steps_per_epoch
        self._total = schedules.total_steps(config.train, self.steps_per_epoch)
        self._warmup = schedules.warmup_steps(config.train, self.steps_per_epoch)
        minutes = config.train.minutes
        self._time = None if minutes is None else Clock(minutes, folder.clock_path)
        self._estimate = self.steps_per_epoch
        self.seconds_left: float | None = None
        self._pending: collections.deque[Mapping[str, Any]] = collections.deque()
        self._clock = self._window_start = self._last_checkpoint = time.monotonic()
        self._window_step = 0
        self._saved_step: int | None = None

    @property
    def step(self) -> int:
        """Updates made."""
        return self.state.step

    @property
    def epoch(self) -> int:
        """The epoch of the last update, from 1."""
        return max(0, self.state.step - 1) // self.steps_per_epoch + 1

    @property
    def total_steps(self) -> int:
        """Updates of the whole run; where time decides, an estimate that is exact at the end."""
        return self._estimate if self._total is None else self._total

    def _look_at_clock(self) -> None:
        """Where time decides: how many updates there will be, and for how long they are made.

        Only here the processes of a run tell each other the time, so that a callback, which may be
        in one of them alone, asks nothing of the others.
        """
        if self._time is not None:
            self._estimate = self._time.updates(self.state.step, self.steps_per_epoch)
            self.seconds_left = max(0.0, self._time.seconds - self._time.at(self.state.step))

    def learning_rate(self, step: int) -> float:
        """The learning rate of an update, by its number."""
        part = None
        if self._time is not None and step >= self._warmup:
            part = self._time.part(step, self._warmup)
        return schedules.learning_rate(
            self.config.train, step, self.steps_per_epoch, self.total_steps, part
        )

    def note(self, text: str) -> None:
        """Tell the user something."""
        for callback in self.callbacks:
            callback.note(self, text)

    def show(self, name: str, image: np.ndarray) -> None:
        """Hand a picture, uint8 [H, W, 1 or 3], to the callbacks."""
        for callback in self.callbacks:
            callback.image(self, name, image)

    def resume(self) -> bool:
        """Go back to the newest intact checkpoint; False where there is none.

        Raises:
            WeightsError: all checkpoints are damaged, or they are another model's.
            BadInputError: the file of the run's times is damaged.
        """
        with all_or_none():
            if self._time is not None:
                self._time.resume()
            newest = self.checkpoints.load_newest()
        step: int = 0
        damaged: list[str] = []
        if newest is not None:
            step, checkpoint, damaged = newest
            source = str(self.checkpoints.path(step))
            self.train_step.load(checkpoint.weights, checkpoint.training, source)
            self.state = TrainState.from_dict(checkpoint.state)
            self._saved_step = step
        with all_or_none():
            if self.is_main:
                self.metrics.truncate(step)
                if newest is not None:
                    self.checkpoints.set_aside_newer(step)
                    self.checkpoints.prune(self.state.best_step)
        for problem in damaged:
            self.note(f"{problem} It is passed over.")
        return newest is not None

    def fit(self, interruption: Interruption) -> TrainResult:
        """Make the updates that are left.

        Raises:
            TrainingError: too many updates in a row were not finite, or the disk is full.
            InterruptedRun: it was asked to stop; the last update is in a checkpoint.
        """
        self._clock = self._window_start = self._last_checkpoint = time.monotonic()
        self._window_step = self.state.step
        if self._time is not None:
            self._time.begin(self.state.step, self.state.elapsed)
            self._look_at_clock()
        stopped = False
        with ExitStack() as stack:
            for callback in self.callbacks:
                callback.start(self)
                stack.callback(callback.close, self)
            batches = prefetch(self.batches, self.state.step, self._total)
            stack.callback(batches.close)
            every = self.config.train.log_steps if process_count() > 1 else 1
            try:
                for step, batch in interruption.watch(batches, any_process, every):
                    if stopped := self._has_stalled():  # before the resumed run's first update
                        break
                    if step >= self.total_steps:
                        break
                    self._update(step, batch)
                    if self._ends_epoch():
                        stopped = self._end_epoch()
                        if stopped or self.state.step >= self.total_steps:
                            break
                    self._checkpoint_if_due()
            except InterruptedRun:
                self._drain()
                if self.state.step != self._saved_step:
                    self._checkpoint()
                raise InterruptedRun(
                    f"The run is in {self.output}, at step {self.state.step}. Go on with: "
                    + self._resume_command()
                ) from None
            self._drain()
            if self.state.step not in self.checkpoints.steps():
                self._checkpoint()
            for callback in self.callbacks:
                callback.finished(self)
        return TrainResult(self.output, self.state.step, dict(self.state.validation or {}), stopped)

    def _resume_command(self) -> str:
        if self.config.data.name == PYTHON:
            return f"hvae.train(..., output={str(self.output)!r}, resume=True)"
        return f"hvae train {shlex.quote(str(self.output))} --resume"

    def _from_here(self, is_kept: bool) -> str:
        """How a new run starts from the weights of this one with half its learning rate."""
        if not is_kept:
            return "."
        run, rate = str(self.output), f"train.learning_rate={self.config.train.learning_rate / 2:g}"
        if self.config.data.name == PYTHON:
            options = f"dataset=..., weights={run!r}, overrides={rate!r}"
            return f": hvae.train({run!r}, ANOTHER, {options})"
        quoted = shlex.quote(run)
        return f": hvae train {quoted} --weights {quoted} --set {rate} --output ANOTHER"

    def _update(self, step: int, batch: Batch) -> None:
        train = self.config.train
        figures = self.train_step(
            batch,
            step=step,
            learning_rate=self.learning_rate(step),
            beta=schedules.beta(train, step, self.steps_per_epoch),
        )
        self.state.step = step + 1
        self._look_at_clock()
        self.state.images += train.batch_size
        self._pending.append(figures)
        while len(self._pending) > _LAG:
            self._read()
        if self.state.step % train.log_steps == 0:
            self._drain()
            self._record_window()

    def _read(self) -> None:
        """Take the oldest pending figures from the device."""
        figures = self.train_step.read(self._pending.popleft())
        self.state.add(figures)
        for callback in self.callbacks:
            callback.update(self, figures)
        self._check_skipped(figures)
        limit = self.config.train.max_nonfinite_steps
        if self.state.nonfinite_in_a_row >= limit:
            steps = self.checkpoints.steps()
            kept = f"the checkpoint of step {steps[-1]} is kept" if steps else "nothing was kept"
            raise TrainingError(
                f"The loss or its gradient was not finite in {limit} updates in a row, up to "
                f"step {self.state.step}; {kept}.",
                "Resumed, it would make the same updates again. Start a new run with a lower "
                "train.learning_rate or with train.clip_norm" + self._from_here(bool(steps)),
            )

    def _check_skipped(self, figures: Mapping[str, Any]) -> None:
        """Warn when no update of a while was made, and stop when none was of a long while."""
        train, in_a_row = self.config.train, self.state.skipped_in_a_row
        if not in_a_row or not train.skip_norm or self.state.nonfinite_in_a_row:
            return
        why = (
            f"their gradients' norms, the last {figures['gradient_norm']:.4g}, are not below "
            f"train.skip_norm ({train.skip_norm:g})"
        )
        every_one = in_a_row >= self.total_steps
        if in_a_row >= train.max_skipped_steps or every_one:
            self._pending.clear()
            self._checkpoint()
            raise TrainingError(
                f"The last {in_a_row} updates in a row were skipped, so that nothing is learnt: "
                f"{why}; the run is kept in {self.output}, at step {self.state.step}.",
                "Raise train.skip_norm, set train.skip_start_step to skip none of the first "
                "updates, or lower train.learning_rate; then start anew.",
            )
        patience = min(train.log_steps, train.max_skipped_steps // 2, self.total_steps // 2)
        if in_a_row == max(1, patience):
            self.note(
                f"Warning: the last {in_a_row} updates were skipped, {why}; after "
                f"{train.max_skipped_steps} in a row the run stops."
            )

    def _drain(self) -> None:
        while self._pending:
            self._read()

    def _record_window(self) -> None:
        """A line of metrics.jsonl for the updates since the last one."""
        now = time.monotonic()
        window = self.state.window
        made = self.state.step - self._window_step  # the window may be older than this session
        speed = made * self.config.train.batch_size / max(1e-9, now - self._window_start)
        self._window_start, self._window_step = now, self.state.step
        self._record("step", {**self._bounds(window.means()), "images_per_second": speed})
        window.reset()

    def _record(self, event: str, figures: dict[str, Any]) -> dict[str, Any]:
        last = max(0, self.state.step - 1)
        train = self.config.train
        record = {
            "event": event,
            "step": self.state.step,
            "epoch": self.epoch,
            "images": self.state.images,
            "learning_rate": self.learning_rate(last),
            "beta": schedules.beta(train, last, self.steps_per_epoch),
            **figures,
        }
        if self.is_main:
            self.metrics.append(record)
        for callback in self.callbacks:
            callback.record(self, record)
        return record

    def _bounds(self, figures: dict[str, Any]) -> dict[str, Any]:
        """``figures`` with the negative ELBO in the likelihood's unit."""
        if "rate" not in figures:
            return figures
        unit, dimensions = self.model.likelihood.unit, math.prod(self.model.image_shape)
        bound = in_unit(figures["rate"] + figures["distortion"], unit, dimensions)
        return {unit_key(unit): bound, **figures}

    def _ends_epoch(self) -> bool:
        at_end = self.state.step >= self.total_steps
        return at_end or self.state.step % self.steps_per_epoch == 0

    def _end_epoch(self) -> bool:
        """Evaluate and record; True if the run is to stop early."""
        train = self.config.train
        self._drain()
        means = self._bounds(self.state.epoch.means())
        self.state.epoch.reset()
        at_end = self.state.step >= self.total_steps
        due = self.epoch % train.evaluate_epochs == 0 or at_end
        is_best = False
        with self.train_step.ema_weights():
            if due:
                means["validation"] = self._validate()
                if means["validation"] and self._is_comparable():
                    is_best = self.state.offer(_worth(means["validation"]), train.evaluate_epochs)
            record = self._record("epoch", means)
            for callback in self.callbacks:
                callback.evaluated(self, record)
        if is_best or at_end:
            self._checkpoint()
        return self._has_stalled()

    def _is_comparable(self) -> bool:
        """Whether figures of validation are those of the loss that is trained from now on."""
        train = self.config.train
        if train.objective != "evidence":  # which beta is a part of
            return True
        return schedules.beta_is_settled(train, self.state.step, self.steps_per_epoch)

    def _has_stalled(self) -> bool:
        patience = self.config.train.patience
        return patience is not None and self.state.stale_epochs >= patience

    def _validate(self) -> dict[str, Any] | None:
        from hvae_core.evaluation import evaluate_batches

        batches = self.images.validation_batches(self.config)
        if batches is None:
            return None
        seed = self.config.train.seed
        figures = evaluate_batches(self.model, batches(), seed)
        figures |= self.train_step.validate(batches(), seed)
        figures["nats"] = -figures["elbo"]
        self.state.validation = figures
        return figures

    def _checkpoint_if_due(self) -> None:
        train = self.config.train
        if self.state.step == self._saved_step:
            return
        minutes = (time.monotonic() - self._last_checkpoint) / 60.0
        if self.state.step % train.checkpoint_steps == 0 or minutes >= train.checkpoint_minutes:
            self._drain()
            self._checkpoint()

    def _checkpoint(self) -> None:
        now = time.monotonic()
        self.state.elapsed += now - self._clock
        self._clock = now
        self._saved_step, self._last_checkpoint = self.state.step, now
        if not self.is_main:
            return
        self.metrics.flush()  # a run that goes on from here does not write these lines again
        if self._time is not None:
            self._time.flush()
        training = self.train_step.state()
        path = self.checkpoints.save(
            self.state.step,
            Checkpoint(self.train_step.weights(), training, self.state.to_dict()),
            self.state.best_step,
        )
        self._last_checkpoint = time.monotonic()
        for callback in self.callbacks:
            callback.checkpoint(self, path)


def _worth(figures: Mapping[str, Any]) -> float:
    """What the best checkpoint has most of: the bound, or what is trained in its place."""
    return -figures["posterior_kl"] if "posterior_kl" in figures else figures["elbo"]
