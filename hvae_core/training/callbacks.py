"""What may watch a training run: progress, trackers, sample grids, a plugin's or a caller's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hvae_core.runs.appending import flush

if TYPE_CHECKING:
    from hvae_core.config import Config
    from hvae_core.vae import HierarchicalVAE

__all__ = ["Callback", "Run"]


class Run(Protocol):
    """What a callback may read of the run it watches."""

    config: Config
    output: Path
    model: HierarchicalVAE
    steps_per_epoch: int
    seconds_left: float | None  # of training, after the last update; None: time does not decide
    is_main: bool  # False in all but the first of several processes, which must write nothing

    @property
    def step(self) -> int:
        """Updates made."""

    @property
    def total_steps(self) -> int:
        """Updates of the whole run; where time decides, an estimate that is exact at the end."""

    @property
    def epoch(self) -> int:
        """The epoch of the last update, from 1."""

    def note(self, text: str) -> None:
        """Tell the user something: the callbacks' `Callback.note`."""

    def show(self, name: str, image: np.ndarray) -> None:
        """Hand a picture, uint8 [H, W, 1 or 3], to the callbacks' `Callback.image`."""


class Callback:
    """Watches a run. Every hook does nothing unless a subclass says otherwise.

    The model's own weights are up to date in `start`, `evaluated`, `checkpoint` and `finished`; in
    between, JAX and TensorFlow have them elsewhere.

    An exception raised in a hook ends the run; the checkpoints made so far are kept. Where several
    processes train together, the hooks are called in each: all of them must compute the same, and
    only the one where ``run.is_main`` holds may write.
    """

    def start(self, run: Run) -> None:
        """Before the first update; ``run.step`` is above 0 in a resumed run."""

    def update(self, run: Run, figures: Mapping[str, Any]) -> None:
        """After an update whose figures have been read, two or so updates late.

        ``figures`` are floats: loss, distortion, rate and perhaps regularizer in nats/dim,
        gradient_norm, skipped, nonfinite, and the array kl_per_layer [L] in nats.
        """

    def record(self, run: Run, record: Mapping[str, Any]) -> None:
        """After a line of metrics.jsonl was written, with what it holds."""

    def evaluated(self, run: Run, record: Mapping[str, Any]) -> None:
        """At the end of an epoch, while the model holds the averaged weights."""

    def note(self, run: Run, text: str) -> None:
        """What the user is to be told, a sentence."""

    def image(self, run: Run, name: str, image: np.ndarray) -> None:
        """A picture of the run as it is now, uint8 [H, W, 1 or 3], such as a grid of samples."""

    def checkpoint(self, run: Run, folder: Path) -> None:
        """After a checkpoint was written."""

    def finished(self, run: Run) -> None:
        """After the last checkpoint of a run that came to its end or stopped early."""

    def close(self, run: Run) -> None:
        """At the end, after an error too."""


class SampleGrids(Callback):
    """Writes ``samples/step-00001000.png`` every ``train.sample_epochs`` epochs, and shows it.

    The noise is the same each time, so that the pictures can be compared.

    Args:
        images: number of images in a grid.
        temperature: of the priors.
    """

    def __init__(self, images: int = 16, temperature: float = 0.9) -> None:
        self.images, self.temperature = images, temperature

    def evaluated(self, run: Run, record: Mapping[str, Any]) -> None:
        """See `Callback.evaluated`."""
        every = run.config.train.sample_epochs
        if not every or (run.epoch % every and run.step < run.total_steps):
            return
        from hvae_core.images.grids import make_grid, save_grid
        from hvae_core.inference.arguments import example_conditions

        images = run.model.sample(
            self.images,
            temperature=self.temperature,
            seed=run.config.train.seed,
            condition=example_conditions(run.model, self.images),
        )
        if not run.is_main:
            return
        values = run.model.image_values
        path = run.output / "samples" / f"step-{run.step:08d}.png"
        try:
            save_grid(images, path, values=values)
            flush(path)  # a run that goes on from a later checkpoint does not draw it again
        except OSError as error:  # a picture is not worth a run
            run.note(f"The sample grid was not written: {error.strerror or error}.")
        run.show("samples", make_grid(images, values=values))
