"""MLflow: a server, or files."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from pydantic import Field

from hvae_core.config import flatten
from hvae_core.errors import MissingDependencyError
from hvae_core.files.places import offline
from hvae_core.interfaces import Tracker
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.trackers.remembering import remembered

#: parameters that MLflow takes at once, and characters that a value may have
_PARAMETERS, _CHARACTERS = 100, 500


class MlflowOptions(pydantic.BaseModel):
    """Options of the tracker."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    tracking_uri: str | None = Field(
        None,
        description="a server's address, or a database as sqlite:///...; null: what "
        "MLFLOW_TRACKING_URI says, else mlflow.db in the run folder",
    )
    experiment: str = Field("hvae", description="the experiment, made if there is none")
    tags: dict[str, str] = Field({}, description="of the run")


class Mlflow(Tracker):
    """A run of MLflow."""

    def __init__(self, options: MlflowOptions) -> None:
        self.options = options
        self._uri = options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        needed = {"mlflow": "mlflow-skinny"}
        if self._uri is None or self._uri.startswith("sqlite:"):
            needed |= {"sqlalchemy": "sqlalchemy", "alembic": "alembic"}
        for module, package in needed.items():
            if importlib.util.find_spec(module) is None:
                raise MissingDependencyError.for_extra(package, "trackers", "The tracker mlflow")

    def start(self, config: Mapping[str, Any], name: str, folder: Path, step: int) -> None:
        """See `Tracker.start`. A resumed run goes on in the same run of MLflow, if it is there."""
        if offline():
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow
        from mlflow.entities import Metric

        for noisy in ("mlflow", "alembic"):  # which tell of every table they make
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._metric = Metric
        uri, artifacts = self._uri, None
        if uri is None:
            uri = f"sqlite:///{(folder / 'mlflow.db').resolve()}"
            artifacts = (folder / "mlflow").resolve().as_uri()
        self._client = mlflow.MlflowClient(uri)
        self._run = remembered(
            folder / "mlflow-run.txt", lambda: self._create(config, name, artifacts), self._is_known
        )
        self._client.update_run(self._run, status="RUNNING")

    def _is_known(self, run: str) -> bool:
        """Whether the run is of this server, and not of one that the tracker had before."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_run(run)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        return True

    def _create(self, config: Mapping[str, Any], name: str, artifacts: str | None) -> str:
        """A new run with its parameters, which cannot be changed later."""
        from mlflow.entities import Param

        experiment = self._client.get_experiment_by_name(self.options.experiment)
        if experiment is None:
            number = self._client.create_experiment(self.options.experiment, artifacts)
        else:
            number = experiment.experiment_id
        run = str(
            self._client.create_run(number, run_name=name, tags=self.options.tags).info.run_id
        )
        parameters = [
            Param(key, str(value)[:_CHARACTERS]) for key, value in flatten(config).items()
        ]
        for first in range(0, len(parameters), _PARAMETERS):
            self._client.log_batch(run, params=parameters[first : first + _PARAMETERS])
        return run

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.scalars`."""
        now = int(time.time() * 1000)
        metrics = [self._metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """See `Tracker.image`."""
        self._client.log_image(self._run, image, key=name, step=step)

    def finish(self) -> None:
        """See `Tracker.finish`."""
        self._client.set_terminated(self._run)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the tracker."""
    return ComponentSpec(
        kind="tracker",
        name="mlflow",
        summary="MLflow, a server or files",
        builder=Mlflow,
        config=MlflowOptions,
    )
