"""The folder of a training run: what lies where, and who may write there. Imports no Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import BadInputError, ConfigError
from hvae_core.files.paths import exists, is_file, is_folder
from hvae_core.files.replacing import disk_errors, is_leftover, remove_leftovers, replace_file
from hvae_core.runs.checkpoints import Checkpoints

if TYPE_CHECKING:
    from hvae_core.config import Config
    from hvae_core.runs.data_record import DataRecord
    from hvae_core.runs.validation_record import ValidationRecord

CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.jsonl"
SESSIONS_FILE = "sessions.jsonl"
CLOCK_FILE = "clock.txt"
LOCK_FILE = ".lock"
_FOLDERS = ("checkpoints", "samples")

#: what a resumed run may set anew: none of it changes an update already made
CHANGEABLE = frozenset(
    {
        "summary",
        "train.epochs",
        "train.steps",
        "train.minutes",
        "train.patience",
        "train.max_skipped_steps",
        "train.max_nonfinite_steps",
        "train.log_steps",
        "train.checkpoint_steps",
        "train.checkpoint_minutes",
        "train.keep_checkpoints",
        "train.evaluate_epochs",
        "train.sample_epochs",
        "train.tensorboard",
        "train.trackers",
        "train.report",
        "train.compile",
        "train.devices",
        "train.remat",
        "model.condition.names",
        "data.type",
        "data.root",
        "data.url",
    }
)
#: what is recorded of images given as Python objects
_OF_GIVEN_IMAGES = ("data.images", "data.digest")


class RunFolder:
    """A run folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def config_path(self) -> Path:
        """The resolved configuration."""
        return self.path / CONFIG_FILE

    @property
    def metrics_path(self) -> Path:
        """One line for each logged update and each epoch."""
        return self.path / METRICS_FILE

    @property
    def sessions_path(self) -> Path:
        """One line for each time the run was started or resumed."""
        return self.path / SESSIONS_FILE

    @property
    def clock_path(self) -> Path:
        """When each update began, in seconds of training, where ``train.minutes`` is given."""
        return self.path / CLOCK_FILE

    def checkpoints(self, keep: int = 3) -> Checkpoints:
        """The checkpoints."""
        return Checkpoints(self.path / "checkpoints", keep)

    def read_config(self) -> Config:
        """The configuration of the run.

        Raises:
            ConfigError: ``config.yaml`` is missing or not valid.
        """
        from hvae_core.config import load_config

        return load_config(self.config_path)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from, intact or not."""
        return bool(self.checkpoints().steps())

    def check_new(self) -> None:
        """Refuse a folder that has content, other than that of a run killed before it began.

        Raises:
            BadInputError: it has, or it is a file.
        """
        if exists(self.path) and not is_folder(self.path):
            raise BadInputError(f"The output {self.path} is a file; expected a folder.")
        if is_folder(self.path) and not all(map(_is_of_a_start, self.path.iterdir())):
            raise BadInputError(
                f"The output folder {self.path} is not empty.",
                "Give --resume to go on with the run in it, or choose another --output.",
            )

    def check_resumed(self, config: Config, allow_changed_data: bool = False) -> None:
        """Refuse to go on with another configuration.

        Args:
            config: the one to go on with.
            allow_changed_data: let images given as Python objects be others.

        Raises:
            ConfigError: an option that decides the updates differs, or there is no run here.
        """
        from hvae_core.config import flatten
        from hvae_core.data.given import PYTHON, check_same_images

        if not is_file(self.config_path):
            self.check_new()
            return
        run = self.read_config()
        given = (run.data.name, config.data.name) == (PYTHON, PYTHON)
        if not (given and allow_changed_data):
            check_same_images(run.data, config.data, self.path)
        before, now = flatten(run.to_dict()), flatten(config.to_dict())
        for key in sorted({*before, *now} - CHANGEABLE):
            if given and allow_changed_data and key.startswith(_OF_GIVEN_IMAGES):
                continue
            was, wanted = _option(before, key), _option(now, key)
            if was != wanted:
                raise ConfigError(
                    f"{key} is {wanted!r} but the run in {self.path} was started with {was!r}.",
                    "Resume with the configuration of the run, or start a new run in another "
                    "--output.",
                )

    def data_record(self) -> DataRecord | None:
        """What is recorded of the run's images, or None where nothing is, or no run began.

        Raises:
            BadInputError: it is damaged.
        """
        from hvae_core.runs.data_record import DataRecord

        return DataRecord.read(self.path) if is_file(self.config_path) else None

    def create(
        self, config: Config, validation: np.ndarray, data: DataRecord | None = None
    ) -> None:
        """Make the folder, ``validation.json``, ``data.json`` and ``config.yaml``.

        They are written in this order: what was held out is known at every moment, whichever images
        ``data.json`` is still of; and with ``config.yaml`` the run has begun.

        Args:
            config: the resolved configuration.
            validation: indices of the training split's images that are held out.
            data: what is recorded of the images.

        Raises:
            BadInputError: the folder cannot be written.
        """
        from hvae_core.config import dump_yaml
        from hvae_core.runs.validation_record import ValidationRecord

        held_out = ValidationRecord.of(validation, None if data is None else data.training)
        with _disk_errors(self.path):
            for folder in (self.path, *(self.path / name for name in (*_FOLDERS, "plots"))):
                remove_leftovers(folder)
            for name in _FOLDERS:
                (self.path / name).mkdir(parents=True, exist_ok=True)
            held_out.write(self.path)
            if data is not None:
                data.write(self.path)
            replace_file(self.config_path, dump_yaml(config))

    def validation_record(self) -> ValidationRecord | None:
        """The images held out, or None where no file says which, or no run began.

        Raises:
            BadInputError: the file is damaged.
        """
        from hvae_core.runs.validation_record import ValidationRecord

        return ValidationRecord.read(self.path) if is_file(self.config_path) else None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder, so that no second process trains in it.

        Raises:
            BadInputError: another process holds it, or the folder cannot be written.
        """
        import filelock

        existed = is_folder(self.path)
        with _disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / LOCK_FILE, timeout=0)
            try:
                lock.acquire()
            except filelock.Timeout as error:  # an OSError, too
                raise BadInputError(
                    f"Another process is training in {self.path}.",
                    "Wait for it, end it, or choose another --output.",
                ) from error
        try:
            yield
        finally:
            lock.release()
            _remove_if_unused(self.path, existed)


def is_run_folder(path: str | Path) -> bool:
    """Whether a training run was started in ``path``."""
    return is_file(Path(path) / CONFIG_FILE) and is_folder(Path(path) / "checkpoints")


def _disk_errors(path: Path) -> AbstractContextManager[None]:
    hint = "Choose another folder with --output."
    return disk_errors(f"write to the output folder {path}", hint, BadInputError)


def _is_of_a_start(entry: Path) -> bool:
    """Whether a run that was killed before its ``config.yaml`` was there can have left this."""
    if entry.name in _FOLDERS:
        return entry.is_dir() and not any(entry.iterdir())
    from hvae_core.runs.data_record import DATA_FILE, DIGESTS_FILE
    from hvae_core.runs.validation_record import VALIDATION_FILE

    written = (LOCK_FILE, VALIDATION_FILE, DATA_FILE, DIGESTS_FILE)
    return entry.name in written or is_leftover(entry)


def _remove_if_unused(path: Path, existed: bool) -> None:
    """Take back the folder if all that was made in it is the lock."""
    try:
        if [entry.name for entry in path.iterdir()] in ([], [LOCK_FILE]) and not existed:
            (path / LOCK_FILE).unlink(missing_ok=True)
            path.rmdir()
    except OSError:
        pass


def _option(values: Mapping[str, Any], key: str) -> Any:
    """An option of flat values. A component with default options alone is kept as its name."""
    for place in (key, f"{key}.name", key.removesuffix(".name")):
        if place in values:
            return values[place]
    return None
