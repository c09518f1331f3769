"""Training a model from a configuration into a run folder, from the start or onwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hvae_core.backends.devices import use_devices
from hvae_core.backends.processes import (
    all_or_none,
    in_each_process,
    process_count,
    process_index,
)
from hvae_core.config import Config, check_against_shape
from hvae_core.data import described_condition
from hvae_core.errors import PluginError, TrainingError
from hvae_core.plugins import manager
from hvae_core.runs.metrics import MetricsFile
from hvae_core.runs.run_folder import RunFolder
from hvae_core.runs.state import TrainResult
from hvae_core.training import schedules
from hvae_core.training.beginning import Beginning
from hvae_core.training.callbacks import Callback, SampleGrids
from hvae_core.training.feeding import SPLIT, Earlier, open_images
from hvae_core.training.interruption import Interruption
from hvae_core.training.progress import ProgressDisplay
from hvae_core.training.run import TrainingRun
from hvae_core.training.sessions import changed_since, describe_session
from hvae_core.training.starting import check_needs_no_start, start_from
from hvae_core.training.step import build_step
from hvae_core.training.tracking import tracking
from hvae_core.vae import HierarchicalVAE

if TYPE_CHECKING:
    from rich.console import Console

    from hvae_core.interfaces import Dataset

__all__ = ["TrainResult", "default_callbacks", "train"]


def default_callbacks(config: Config, console: Console | None = None) -> Iterator[Callback]:
    """Progress on stderr, the trackers, sample grids, and the callbacks of the plugins used.

    Of several processes, only the first shows progress and has trackers.

    Raises:
        MissingDependencyError: a tracker's package is not installed.
        PluginError: a plugin's hook ``hvae_training_callbacks`` fails.
    """
    if process_index() == 0:
        yield ProgressDisplay(console)
        yield from tracking(config.train)
    if config.train.sample_epochs:
        yield SampleGrids()
    specs = [component.spec for component in config.components()]
    for callback in manager().training_callbacks(config, specs):
        if not isinstance(callback, Callback):
            raise PluginError(
                f"A plugin's hook hvae_training_callbacks returned {callback!r}, which is no "
                "hvae.callbacks.Callback.",
                "Ask its authors to derive it from Callback.",
            )
        yield callback


def train(
    config: Config,
    output: Path,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    console: Console | None = None,
    weights: Path | Mapping[str, np.ndarray] | None = None,
    dataset: Dataset | None = None,
    allow_changed_data: bool = False,
    adapts: bool = False,
) -> TrainResult:
    """Train a model. `hvae_core.train` writes the report after it.

    Args:
        config: the configuration; ``train.epochs`` or ``train.steps`` says how long.
        output: the run folder: made if it does not exist, and empty unless ``resume`` is set.
        resume: go on with the run in ``output`` from its newest checkpoint, to the same numbers
            as a run that never stopped; start it if there is none.
        callbacks: watch the run, after progress, trackers, sample grids and plugins' callbacks.
        console: where the progress is shown, by default stderr.
        weights: a safetensors file, or arrays by name, to start from in place of fresh weights. A
            run that is resumed from a checkpoint does not read them.
        dataset: what ``config.data`` stands for, where it cannot be opened from its options.
        allow_changed_data: go on with a run though its images are others now.
        adapts: ``weights`` are of a model whose top prior is still as it was made, so that a run
            that begins with them takes its statistics of the training images.

    Raises:
        ConfigError: the configuration is impossible, or another one's run is to be resumed.
        DataError: the images cannot be read.
        BadInputError: the folder is not empty, locked, or cannot be written.
        PluginError: a component that it names, or its callbacks, cannot be loaded.
        MissingDependencyError: a tracker's package is not installed.
        WeightsError: ``weights`` is damaged or another model's.
        TrainingError: training had to stop; what was done is kept.
        InterruptedRun: it was asked to stop; the last update is in a checkpoint.
    """
    folder = RunFolder(output)
    is_main = process_index() == 0
    beginning = Beginning(console, quiet=not is_main)
    with ExitStack() as stack:
        stack.enter_context(use_devices(config.train))
        with all_or_none():
            if weights is None and not resume:
                check_needs_no_start(config)
            if is_main and resume:
                folder.check_resumed(config, allow_changed_data)
            elif is_main:
                folder.check_new()
            beginning.reading(config)
            earlier = None
            if resume:
                held_out, record = folder.validation_record(), folder.data_record()
                earlier = Earlier(output, held_out, record, allow_changed_data)
            images = open_images(config, earlier, dataset, beginning.downloading)
            config = described_condition(config, images.dataset, SPLIT)
            check_against_shape(config, images.shape)
            per_epoch = images.training_batches(config).steps_per_epoch
            schedules.total_steps(config.train, per_epoch)
            if is_main:
                stack.enter_context(folder.lock())
            watching = [beginning, *default_callbacks(config, console), *callbacks]
        beginning.building(images)
        model = HierarchicalVAE(config)
        if not (resume and folder.has_checkpoint):
            start_from(model, weights)
        beginning.built(model)
        skip_start = schedules.skip_start_step(config.train, per_epoch)
        step = build_step(model, config.train, images.regularizer, skip_start)
        run = TrainingRun(config, images, folder, watching, model, step)
        with all_or_none():
            if is_main:
                folder.create(config, images.validation, images.record)
        if resume and run.resume():
            run.note(f"Going on from step {run.step}.")
        elif weights is None or adapts:
            if weights is None:
                check_needs_no_start(config)
            model.adapt(images.training_images(config))
        if len(set(in_each_process(run.step))) > 1:
            raise TrainingError(
                f"The processes that train together see different checkpoints in {output}.",
                "Keep the run folder on a file system that all of them share.",
            )
        with all_or_none():
            if is_main:
                _record_session(folder, run, weights)
        first = run.step

        def loses_nothing() -> bool:
            """Before this session's first update, where no other process waits for this one."""
            return process_count() == 1 and run.step == first < run.total_steps

        with Interruption(loses_nothing=loses_nothing) as interruption:
            return run.fit(interruption)


def _record_session(
    folder: RunFolder, run: TrainingRun, weights: Path | Mapping[str, np.ndarray] | None
) -> None:
    """A line of ``sessions.jsonl``; the user is told what is other than in the session before."""
    sessions = MetricsFile(folder.sessions_path)
    session = describe_session(run.step, weights)
    before = sessions.read()[-1:] if run.step else []
    for change in filter(None, (changed_since(last, session) for last in before)):
        run.note(change)
    sessions.append(session)
    sessions.flush()
