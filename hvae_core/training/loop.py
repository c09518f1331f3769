"""Training a model from a configuration into a run folder, from the start or onwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hvae_core.config import Config, check_against_shape
from hvae_core.training.callbacks import Callback, SampleGrids
from hvae_core.training.feeding import open_images
from hvae_core.training.interruption import Interruption
from hvae_core.training.progress import ProgressDisplay
from hvae_core.training.run import TrainingRun
from hvae_core.training.run_folder import RunFolder
from hvae_core.training.state import TrainResult
from hvae_core.training.tensorboard import TensorBoard, tensorboard_is_installed

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["TrainResult", "default_callbacks", "train"]


def default_callbacks(config: Config, console: Console | None = None) -> Iterator[Callback]:
    """Progress on stderr, TensorBoard where it is installed, and sample grids."""
    yield ProgressDisplay(console)
    if config.train.tensorboard and tensorboard_is_installed():
        yield TensorBoard()
    if config.train.sample_epochs:
        yield SampleGrids()


def train(
    config: Config,
    output: Path,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    console: Console | None = None,
) -> TrainResult:
    """Train a model.

    Args:
        config: the configuration; ``train.epochs`` or ``train.steps`` says how long.
        output: the run folder: made if it does not exist, and empty unless ``resume`` is set.
        resume: go on with the run in ``output`` from its newest checkpoint, to the same numbers
            as a run that never stopped; start it if there is none.
        callbacks: watch the run, beside progress, TensorBoard and sample grids.
        console: where the progress is shown, by default stderr.

    Raises:
        ConfigError: the configuration is impossible, or another one's run is to be resumed.
        DataError: the images cannot be read.
        BadInputError: the folder is not empty, locked, or cannot be written.
        TrainingError: training had to stop; what was done is kept.
        InterruptedRun: it was asked to stop; the last update is in a checkpoint.
    """
    folder = RunFolder(output)
    if resume:
        folder.check_resumed(config)
    else:
        folder.check_new()
    images = open_images(config, folder.validation_indices() if resume else None)
    check_against_shape(config, images.shape)
    watching = [*default_callbacks(config, console), *callbacks]
    with folder.lock():
        run = TrainingRun(config, images, folder, watching)
        folder.create(config, images.validation)
        if resume and run.resume():
            run.note(f"Going on from step {run.step}.")
        with Interruption() as interruption:
            return run.fit(interruption)
