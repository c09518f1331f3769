"""A preset folder and what its ``preset.yaml`` says."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.errors import ConfigError, PresetError
from hvae_core.files.foreign_numbers import is_whole
from hvae_core.files.paths import is_file
from hvae_core.files.yaml_files import read_mapping
from hvae_core.zoo.origin import NAME_PATTERN, pull_again
from hvae_core.zoo.originals import Original, read_original
from hvae_core.zoo.record import check_record

if TYPE_CHECKING:
    from hvae_core.config import Config

PRESET_FILE = "preset.yaml"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
SAMPLES_FILE = "samples.png"
RECONSTRUCTIONS_FILE = "reconstructions.png"
TRAINING_FILE = "training.png"
#: pictures of a card, and what stands in their place where they cannot be shown
PICTURES = {
    SAMPLES_FILE: "Samples",
    RECONSTRUCTIONS_FILE: "Reconstructions",
    TRAINING_FILE: "The training",
}
FILES = (PRESET_FILE, WEIGHTS_FILE, CARD_FILE, *PICTURES)

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """What preset.yaml records of the weights.

    ``original``: another implementation's checkpoint, of which they are made where there are no
    ``sources``; ``sha256`` is then that of what was made here.
    """

    sha256: str | None = None
    size: int | None = None
    sources: tuple[str, ...] = ()
    original: Original | None = None

    @property
    def is_to_be_had(self) -> bool:
        """Whether they exist somewhere."""
        return bool(self.sources) or self.sha256 is not None or self.original is not None

    @property
    def to_convert(self) -> Original | None:
        """The original's checkpoint, where they come from nowhere else."""
        return None if self.sources else self.original

    def is_same_as(self, other: WeightsInfo) -> bool:
        """Whether both record the same weights, wherever they come from."""
        if self.to_convert is not None:
            return self.to_convert == other.to_convert
        return self.sha256 is not None and self.sha256 == other.sha256


@dataclasses.dataclass(frozen=True)
class Preset:
    """A preset found on this machine.

    Args:
        name: by which it was found.
        folder: where ``preset.yaml`` lies.
        info: the whole content of ``preset.yaml``, unvalidated but for its form.
        origin: "installed", "pulled" or "folder".
    """

    name: str
    folder: Path
    info: Mapping[str, Any]
    origin: str = "folder"

    @property
    def weights_path(self) -> Path | None:
        """The weights file, or None where there is none."""
        path = self.folder / WEIGHTS_FILE
        return path if is_file(path) else None

    @property
    def in_commands(self) -> str:
        """What a command is to be given for it: its name, or its folder where that found it."""
        return shlex.quote(str(self.folder)) if self.origin == "folder" else self.name

    @property
    def summary(self) -> str:
        """One line on what this is."""
        return str(self.info.get("summary") or "")

    @property
    def licence(self) -> str:
        """The licence of the weights, or an empty string."""
        return str(self.info.get("licence") or "")

    @property
    def figures(self) -> Mapping[str, Any]:
        """Results and how they were measured."""
        return self.info.get("figures") or {}

    @cached_property
    def weights(self) -> WeightsInfo:
        """What is recorded of the weights.

        Raises:
            PresetError: the record is malformed.
        """
        return _weights_info(self.info.get("weights"), self.folder / PRESET_FILE)

    @cached_property
    def config(self) -> Config:
        """The validated configuration.

        Raises:
            ConfigError: a key is unknown or a value impossible; the message names the file.
        """
        from hvae_core.config import parse_config

        try:
            return parse_config(self.info)
        except ConfigError as error:
            raise ConfigError(
                f"{self.folder / PRESET_FILE}: {error.message}", error.hint
            ) from error


def read_preset(folder: str | Path, name: str | None = None, origin: str = "folder") -> Preset:
    """Read the preset in ``folder``; its configuration is validated on first use.

    Args:
        folder: holds ``preset.yaml``.
        name: by which it was found; the folder's name where none is given.
        origin: "installed", "pulled" or "folder".

    Raises:
        PresetError: there is no readable ``preset.yaml``, or a key of it has another form.
    """
    folder = Path(folder)
    path = folder / PRESET_FILE
    info = read_mapping(path, PresetError)
    if not info:
        raise PresetError(f"{path} is empty; expected the keys of a preset.")
    check_record(info, path)
    recorded = info.get("name")
    if recorded is not None:
        check_name(recorded, str(path))
    return Preset(name or recorded or folder.resolve().name, folder, info, origin)


def check_name(name: Any, where: str) -> str:
    """``name`` if it can name a folder inside the cache.

    Raises:
        PresetError: it has other characters than letters, digits, dot, dash and underscore.
    """
    if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
        raise PresetError(
            f"{where}: {name!r} cannot be a preset's name.",
            "Use letters, digits, '.', '-' and '_', beginning with a letter or a digit.",
        )
    return name


def _weights_info(raw: Any, path: Path) -> WeightsInfo:
    if raw is None:
        return WeightsInfo()
    if not isinstance(raw, Mapping) or set(raw) - {"sha256", "size", "sources", "original"}:
        raise PresetError(
            f"{path}: weights must be a mapping of sha256, size, sources and original."
        )
    sha256, size, sources = raw.get("sha256"), raw.get("size"), raw.get("sources") or []
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise PresetError(f"{path}: weights.sha256 must be 64 hexadecimal digits in quotes.")
    if size is not None and not is_whole(size):
        raise PresetError(f"{path}: weights.size must be a number of bytes.")
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise PresetError(f"{path}: weights.sources must be a list of addresses.")
    original = read_original(raw.get("original"), path)
    return WeightsInfo(sha256.lower() if sha256 else None, size, tuple(sources), original)


def how_to_get(preset: Preset, name: str = "") -> str:
    """The commands that bring weights where there are none yet, as a sentence without its end.

    Args:
        preset: the preset.
        name: what the commands call it; its name, or its folder where that found it, if empty.
    """
    has_sources = bool(preset.weights.sources or preset.weights.original)
    if preset.origin == "pulled":
        return f"Pull them with: {pull_again(preset.folder, preset.name, has_sources)}"
    if has_sources:
        return f"Pull them with: hvae zoo pull {name or preset.in_commands}"
    if preset.weights.sha256:
        return (
            "They lie in hvae's repository; from a clone of it: "
            f"hvae zoo pull CLONE/zoo/{preset.name}"
        )
    from hvae_core.importing import formats_that_describe

    ways = [
        "import a checkpoint of the original with: "
        f"hvae import {format} CHECKPOINT -o ./{preset.name}"
        for format in formats_that_describe(preset.config)
    ]
    ways.append(f"train it with: {train_command(preset, name)}")
    text = ", or ".join(ways)
    return text[0].upper() + text[1:]


def train_command(preset: Preset, name: str = "") -> str:
    """What trains it, with the length where its configuration has none; as `how_to_get`."""
    train = preset.config.train
    is_given = train.epochs or train.steps or train.minutes
    return f"hvae train {name or preset.in_commands}{'' if is_given else ' --set train.epochs=N'}"
