"""What takes long at a run's start, told on stderr: reading, building, compiling."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import keras
from rich.console import Console

from hvae_core.backends.compiling import compiles_programs
from hvae_core.config import Config
from hvae_core.inference.programs import InferenceProgram
from hvae_core.training.callbacks import Callback, Run
from hvae_core.training.feeding import Images
from hvae_core.vae import HierarchicalVAE

MEGABYTE = 1e6


class Beginning(Callback):
    """A short line before each thing that may take long, on a terminal or not.

    Args:
        console: where; by default stderr.
        quiet: say nothing, as all but the first of several processes.
    """

    def __init__(self, console: Console | None = None, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._quiet = quiet
        self._told = -1
        self._begun: float | None = None

    def say(self, text: str) -> None:
        """A line."""
        if not self._quiet:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def reading(self, config: Config) -> None:
        """Before the data set is opened."""
        self.say(f"Reading the data set {config.data.name}.")

    def downloading(self, done: int, total: int | None) -> None:
        """While it is downloaded: a line for each tenth."""
        tenth = 10 * done // total if total else -1
        if total and tenth > self._told:
            self.say(f"Downloading: {done / MEGABYTE:,.0f} of {total / MEGABYTE:,.0f} MB.")
        elif self._told < 0 and not total:
            self.say("Downloading.")
        self._told = max(self._told, tenth, 0)

    def building(self, images: Images) -> None:
        """Before the model is built."""
        for note in images.notes:
            self.say(note)
        self.say(f"{len(images.training):,} images to train on, {len(images.validation):,} "
                 "to validate.")  # fmt: skip
        self.say(f"Building the model on {keras.config.backend()}.")

    def built(self, model: HierarchicalVAE) -> None:
        """When it is built; what is compiled for it from now on is told as well."""
        model.before_compiling(self.compiling)
        self.say(f"{model.count_params():,} parameters, {len(model.latent_shapes)} latent layers.")

    def compiling(self, program: InferenceProgram) -> None:
        """Before a program beside the training step is compiled, perhaps epochs later."""
        self.say(f"Compiling the {program.purpose}, which takes a while for a deep model.")

    def start(self, run: Run) -> None:
        """See `Callback.start`."""
        self._begun = time.monotonic()
        how = run.config.train.compile
        if how == "inductor" or (how and compiles_programs()):
            self.say("Compiling the training step, which takes minutes for a deep model.")
        else:
            self.say("Making the first update, which takes longer than those that follow.")

    def update(self, run: Run, figures: Mapping[str, Any]) -> None:
        """See `Callback.update`."""
        if self._begun is not None:
            seconds = time.monotonic() - self._begun
            self.say(f"The first updates are made, after {seconds:.1f} s.")
            self._begun = None
