"""The checkpoint of a run that is worth using: the best one that is intact. Imports no Keras."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.errors import BadInputError, WeightsError
from hvae_core.files.paths import is_file
from hvae_core.runs.checkpoints import EMA_FILE, MODEL_FILE, Checkpoints, check_files, read_state
from hvae_core.runs.run_folder import CONFIG_FILE, RunFolder

if TYPE_CHECKING:
    from hvae_core.config import Config

_LOG = logging.getLogger("hvae")


def find_weights(run: str | Path) -> tuple[Config, Path]:
    """The configuration and the best weights of a run, while it goes on or after.

    The averaged weights of the checkpoint with the best validation ELBO, else those of the newest
    checkpoint, else its plain weights (``train.ema_decay: 0``). A damaged checkpoint is passed
    over, which the log ``hvae`` says.

    Args:
        run: the run folder.

    Raises:
        BadInputError: the folder is no run folder, there is no checkpoint yet, or none is intact.
    """
    weights = _best_checkpoint(run)[1]
    return RunFolder(run).read_config(), weights


def how_far(run: str | Path) -> dict[str, int]:
    """How far the weights of `find_weights` were trained: images seen, updates, minutes.

    Raises:
        BadInputError: as `find_weights`.
    """
    state = _best_checkpoint(run)[0]
    images, step, seconds = (state.get(key, 0) for key in ("images", "step", "elapsed"))
    return {"images_seen": images, "updates": step, "minutes": max(1, round(seconds / 60))}


def _best_checkpoint(run: str | Path) -> tuple[dict[str, Any], Path]:
    """The state and the weights file of the best checkpoint, or of the next that is intact."""
    folder = RunFolder(run)
    if not is_file(folder.config_path):
        raise BadInputError(f"{run} is not the folder of a training run: it has no {CONFIG_FILE}.")
    checkpoints = folder.checkpoints()
    steps = checkpoints.steps()
    if not steps:
        raise BadInputError(
            f"The run in {run} has no checkpoint yet.", "Wait for it, or resume the run."
        )
    best = _best_step(checkpoints, steps)
    problem: WeightsError | None = None
    for step in [best, *(step for step in reversed(steps) if step != best)]:
        try:
            found = _state_and_weights(checkpoints.path(step))
        except WeightsError as error:
            problem = problem or error
            continue
        if problem is not None:
            _LOG.warning("%s Taking the checkpoint of step %d instead.", problem.message, step)
        return found
    raise WeightsError(
        f"No checkpoint of the run in {run} is intact. {problem.message if problem else ''}",
        "Put intact ones back, or train again.",
    )


def _best_step(checkpoints: Checkpoints, steps: list[int]) -> int:
    """The checkpoint with the best validation ELBO, as the newest that can be read tells."""
    for step in reversed(steps):
        try:
            best = read_state(checkpoints.path(step)).get("best_step")
        except WeightsError:
            continue
        return best if best in steps else step
    return steps[-1]


def _state_and_weights(folder: Path) -> tuple[dict[str, Any], Path]:
    """Of a checkpoint, checked.

    Raises:
        WeightsError: they are missing or damaged.
    """
    state = read_state(folder)
    for key in ("step", "images", "elapsed"):
        if key not in state:
            raise WeightsError(f"{folder / 'state.json'} lacks {key!r}.")
    name = EMA_FILE if (folder / EMA_FILE).is_file() or state["averaged"] else MODEL_FILE
    check_files(folder, name)
    if not (folder / name).is_file():
        raise WeightsError(f"{folder / name} is missing.")
    return state, folder / name
