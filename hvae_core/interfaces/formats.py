"""The contracts of formats: of exported models, and of other implementations' checkpoints."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np

#: latency: one batch at a time on all cores; throughput: a batch is divided among the cores
Mode = Literal["latency", "throughput"]


class Runtime(Protocol):
    """A graph's file in the runtime that reads it."""

    def __call__(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> list[np.ndarray]:
        """The outputs of these names; inputs that they do not need may be left out."""


class Exporter(abc.ABC):
    """A format that models are written in, and perhaps run from. Builder: ``(options)``.

    A format whose exports can be run without Keras writes an export folder
    (`hvae_core.exporting.write_folder`), whose manifest names it as ``runtime``, and has `open`.
    """

    #: the Keras backend that `export` must run on; None: it needs no Keras
    backend: ClassVar[str | None] = None
    #: what the weights can be stored in
    precisions: ClassVar[tuple[str, ...]] = ("float32",)

    @abc.abstractmethod
    def check_output(self, output: Path) -> None:
        """Refuse a place that cannot be written to, before anything is computed."""

    @abc.abstractmethod
    def export(self, preset: Any, output: Path, precision: str) -> dict[str, Any]:
        """Write the model of a `hvae_core.zoo.Preset`, whole or not at all.

        Returns:
            ``output``, and what else there is to tell: numbers and strings.
        """

    def open(self, path: Path, mode: Mode = "latency", cache: bool = True) -> Runtime:
        """Open a graph's file of an export folder. It must need no Keras.

        Args:
            path: the file.
            mode: ``latency``: a batch has all cores; ``throughput``: it is divided among them.
            cache: keep what was compiled in the cache folder, for a faster start the next time.

        Raises:
            hvae_core.errors.MissingDependencyError: the runtime is not installed.
            hvae_core.errors.BadInputError: the file is damaged.
        """
        raise NotImplementedError(f"{type(self).__name__} writes a format that is not run")


class Imported(NamedTuple):
    """What an importer read.

    ``config`` is the `hvae_core.config.Config` of the model; ``arrays`` are its weights under our
    names and in our layouts; ``notes`` says where they come from, in a sentence.
    """

    config: Any
    arrays: Mapping[str, np.ndarray]
    notes: str


class Importer(abc.ABC):
    """Checkpoints of another implementation. Builder: ``(options)``. It needs no Keras."""

    #: a shell pattern of the presets that hold the other's published configurations, or ""
    presets: ClassVar[str] = ""
    #: whether `read` refuses arrays that do not fit the configuration it gives; else hvae builds
    #: the model to see, which takes Keras
    checks_weights: ClassVar[bool] = False

    @abc.abstractmethod
    def read(self, checkpoint: Path, config: str | None, known: Mapping[str, Any]) -> Imported:
        """Read a checkpoint. Nothing in the file is run.

        Args:
            checkpoint: the file.
            config: a configuration of the other's: its name, or a file with its keys. None: the
                published one that the checkpoint's tensors fit.
            known: the configurations (`hvae_core.config.Config`) of the presets that `presets`
                matches, by their names.

        Raises:
            hvae_core.errors.WeightsError: the file is no checkpoint, or does not fit.
            hvae_core.errors.ConfigError: the configuration is unknown or impossible.
        """

    def describes(self, config: Any) -> bool:
        """Whether a checkpoint of the other implementation may hold a model of this `Config`."""
        return False
