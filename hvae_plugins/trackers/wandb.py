"""Weights & Biases, online or offline."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydantic
from pydantic import Field

from hvae_core.errors import MissingDependencyError
from hvae_core.files.places import offline
from hvae_core.interfaces import Tracker
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.trackers.remembering import remembered


class WandbOptions(pydantic.BaseModel):
    """Options of the tracker."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    project: str = Field("hvae", description="the project")
    entity: str | None = Field(None, description="user or team; null: the account's default")
    group: str | None = Field(None, description="group of runs that this one belongs to")
    tags: tuple[str, ...] = Field((), description="of the run")
    mode: Literal["online", "offline"] | None = Field(
        None,
        description="offline: files in the run folder, for `wandb sync`; null: what WANDB_MODE "
        "says, or offline under HVAE_OFFLINE",
    )


class Wandb(Tracker):
    """A run of Weights & Biases; its files lie in ``wandb/`` of the run folder."""

    def __init__(self, options: WandbOptions) -> None:
        if importlib.util.find_spec("wandb") is None:
            raise MissingDependencyError.for_extra("wandb", "trackers", "The tracker wandb")
        self.options = options

    def start(self, config: Mapping[str, Any], name: str, folder: Path, step: int) -> None:
        """See `Tracker.start`. A resumed run goes on in the same run of Weights & Biases."""
        import wandb

        self._wandb, options = wandb, self.options
        mode = options.mode or ("offline" if offline() else None)
        (folder / "wandb").mkdir(exist_ok=True)
        self._run = wandb.init(
            project=options.project,
            entity=options.entity,
            group=options.group,
            tags=list(options.tags),
            mode=mode,
            name=name,
            id=remembered(folder / "wandb" / "hvae-run.txt", lambda: uuid.uuid4().hex[:12]),
            resume=None if mode == "offline" else "allow",
            dir=str(folder),
            config=dict(config),
            # Progress is ours to show, and stdout the user's.
            settings=wandb.Settings(silent=True, console="off"),
        )
        # Steps of its own would have to rise, but those since a checkpoint come twice.
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.scalars`."""
        self._run.log({"step": step, **values})

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """See `Tracker.image`."""
        pixels = image[:, :, 0] if image.shape[-1] == 1 else image
        self._run.log({"step": step, name: self._wandb.Image(pixels)})

    def finish(self) -> None:
        """See `Tracker.finish`."""
        self._run.finish()


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the tracker."""
    return ComponentSpec(
        kind="tracker",
        name="wandb",
        summary="Weights & Biases, online or offline",
        builder=Wandb,
        config=WandbOptions,
        trials=({"mode": "offline"},),
    )
