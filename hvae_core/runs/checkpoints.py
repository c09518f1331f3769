"""Checkpoints: folders that are there whole or not at all.

``checkpoints/step-00001000/`` holds ``model.safetensors`` (the weights being trained),
``ema.safetensors`` (the averaged weights, under the same names), ``optimizer.safetensors`` and
``state.json``, and their checksums in ``SHA256SUMS``. It is written under a hidden name, flushed to
the disk, and then renamed; it is read only if every file still is what was written. No Keras is
imported here; arrays come and go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.errors import HvaeError, TrainingError, WeightsError
from hvae_core.files.digests import DIGESTS_FILE, damaged_file, write_digests
from hvae_core.files.json_files import read_object
from hvae_core.files.replacing import remove_folder, remove_leftovers, replacing_folder
from hvae_core.runs.state import TrainState, check_counters
from hvae_core.weights import read_tensors, write_tensors

MODEL_FILE = "model.safetensors"
EMA_FILE = "ema.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "state.json"
FILES = (MODEL_FILE, EMA_FILE, OPTIMIZER_FILE, STATE_FILE)
_EMA = "ema."
_DAMAGED = "damaged-"

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's content.

    Args:
        weights: of the model, by name.
        training: what `TrainStep.state` gives: the optimizer's variables, and the averaged
            weights as ``ema.<name of the weight>``.
        state: JSON values, see `hvae_core.runs.state`.
    """

    weights: Arrays
    training: Arrays
    state: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of a run.

    Args:
        folder: holds them.
        keep: how many of the newest are kept, beside the best.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder, self.keep = folder, keep

    def path(self, step: int) -> Path:
        """The folder of the checkpoint after ``step`` updates."""
        return self.folder / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """The updates after which there are checkpoints, oldest first."""
        found = []
        for path in self.folder.glob("step-*"):
            number = path.name.removeprefix("step-")
            if number.isdigit() and (path / STATE_FILE).is_file():
                found.append(int(number))
        return sorted(found)

    def save(self, step: int, checkpoint: Checkpoint, best: int | None = None) -> Path:
        """Write a checkpoint, then remove those that are no longer kept.

        Args:
            step: updates made.
            checkpoint: its content.
            best: the checkpoint to keep whatever its age.

        Raises:
            TrainingError: it cannot be written; the older ones are as they were.
        """
        target = self.path(step)
        try:
            with replacing_folder(target) as work:
                self._write(work, checkpoint)
        except (HvaeError, OSError) as error:
            reason = error.message if isinstance(error, HvaeError) else error.strerror or str(error)
            older = self.steps()
            kept = f"the last one kept is of step {older[-1]}" if older else "there is none yet"
            raise TrainingError(
                f"The checkpoint of step {step} cannot be written ({reason.rstrip('.')}); {kept}.",
                "Make room, then go on with --resume.",
            ) from error
        self.prune(best)
        return target

    def load(self, step: int) -> Checkpoint:
        """Read a checkpoint.

        Raises:
            WeightsError: a file of it is missing or damaged.
        """
        folder = self.path(step)
        check_files(folder)
        weights = read_tensors(folder / MODEL_FILE)
        training = dict(read_tensors(folder / OPTIMIZER_FILE))
        if (folder / EMA_FILE).is_file():
            average = read_tensors(folder / EMA_FILE)
            training |= {_EMA + name: average[name] for name in average}
        state = read_state(folder)
        try:
            if TrainState.from_dict(state).step != step:
                raise WeightsError(f"Its 'step' is not {step}.")
        except WeightsError as error:
            problem = f"{folder / STATE_FILE} is damaged: {error.message}"
            raise WeightsError(problem, "Use another checkpoint.") from error
        averaged = set(state["averaged"])
        training = {
            name: array
            for name, array in training.items()
            if not name.startswith(_EMA) or name.removeprefix(_EMA) in averaged
        }
        return Checkpoint(weights, training, state)

    def load_newest(self) -> tuple[int, Checkpoint, list[str]] | None:
        """Read the newest checkpoint that is intact; those that are damaged are passed over.

        Returns:
            Its step, its content and what is wrong with each newer one; None where there is no
            checkpoint.

        Raises:
            WeightsError: there are some, and all are damaged.
        """
        damaged: list[str] = []
        for step in reversed(self.steps()):
            try:
                return step, self.load(step), damaged
            except WeightsError as error:
                damaged.append(error.message)
        if damaged:
            raise WeightsError(
                f"No checkpoint in {self.folder} is intact. {damaged[0]}",
                f"Put intact ones back, or remove {self.folder} to start the run anew.",
            )
        return None

    def set_aside_newer(self, step: int) -> None:
        """Rename the checkpoints after ``step``, so that they are no longer taken for some.

        Raises:
            TrainingError: they cannot be renamed.
        """
        for newer in [number for number in self.steps() if number > step]:
            folder = self.path(newer)
            aside = folder.with_name(_DAMAGED + folder.name)
            try:
                if aside.is_dir():
                    remove_folder(aside)
                folder.rename(aside)
            except OSError as error:
                raise TrainingError(
                    f"The damaged checkpoint {folder} cannot be renamed: {error.strerror}.",
                    "Remove it to go on from an older one.",
                ) from error

    def prune(self, best: int | None = None) -> None:
        """Remove all but the newest and the best, and what a crash left behind."""
        steps = self.steps()
        for step in steps[: -self.keep]:
            if step != best:
                with contextlib.suppress(OSError):
                    remove_folder(self.path(step))
        remove_leftovers(self.folder)

    def _write(self, folder: Path, checkpoint: Checkpoint) -> None:
        step = str(checkpoint.state.get("step", ""))
        average = {
            name.removeprefix(_EMA): array
            for name, array in checkpoint.training.items()
            if name.startswith(_EMA)
        }
        optimizer = {k: v for k, v in checkpoint.training.items() if not k.startswith(_EMA)}
        about = {"format": "hvae", "step": step}
        write_tensors(checkpoint.weights, folder / MODEL_FILE, about)
        if average:
            # with the weights that are not averaged, so that it is a model's weights file too
            whole = {**checkpoint.weights, **average}
            write_tensors(whole, folder / EMA_FILE, about)
        write_tensors(optimizer, folder / OPTIMIZER_FILE, about)
        text = json.dumps({**checkpoint.state, "averaged": sorted(average)}, indent=1)
        (folder / STATE_FILE).write_text(text, encoding="utf-8")
        write_digests(folder)


def check_files(folder: Path, *names: str) -> None:
    """Refuse a checkpoint whose files are not what was written.

    One without checksums, of an older version, is taken as it is.

    Args:
        folder: the checkpoint.
        names: the files to look at; all by default.

    Raises:
        WeightsError: a file is missing or damaged.
    """
    there = [name for name in FILES if (folder / name).exists()]
    damaged = damaged_file(folder, names or there, all_listed=not names)
    if damaged is not None:
        what = "is damaged" if (folder / damaged).exists() else "is missing"
        against = "" if damaged == DIGESTS_FILE else f" (checked against {DIGESTS_FILE})"
        raise WeightsError(f"{folder / damaged} {what}{against}.", "Use another checkpoint.")


def read_state(folder: Path) -> dict[str, Any]:
    """A checkpoint's ``state.json``.

    Raises:
        WeightsError: it is missing or damaged.
    """
    path = folder / STATE_FILE
    try:
        check_files(folder, STATE_FILE)
        state = read_object(path, WeightsError)
        check_counters(state)
        averaged = state.setdefault("averaged", [])
        if not isinstance(averaged, list) or not all(isinstance(n, str) for n in averaged):
            raise WeightsError("Its 'averaged' holds no names.")
    except WeightsError as error:
        raise WeightsError(f"{path} is missing or damaged.", "Use another checkpoint.") from error
    return state
