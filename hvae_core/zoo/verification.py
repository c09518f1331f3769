"""Checking that a preset's weights are the ones its ``preset.yaml`` records."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hvae_core.errors import PresetError, WeightsError
from hvae_core.files import git_lfs
from hvae_core.files.digests import file_digest
from hvae_core.weights.tensors import read_header
from hvae_core.zoo.finding import find_preset
from hvae_core.zoo.preset import Preset, how_to_get


@dataclasses.dataclass(frozen=True)
class VerifyReport:
    """What was found; ``recorded`` says whether preset.yaml has a checksum to compare with."""

    name: str
    folder: str
    size: int
    sha256: str
    recorded: bool
    tensors: int
    parameters: int

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return dataclasses.asdict(self)


def verify(source: str | Path | Preset) -> VerifyReport:
    """Check a preset's weights: length, sha256, and that every tensor can be read.

    Args:
        source: as for `hvae_core.zoo.find_preset`.

    Raises:
        PresetError: there is no such preset, it has no weights, or they are not those recorded.
    """
    preset = find_preset(source)
    path = preset.weights_path
    if path is None:
        raise PresetError(
            f"The preset {preset.name!r} has no weights on this machine.",
            how_to_get(preset),
        )
    fault, sha256 = compare(path, preset)
    if fault:
        raise PresetError(
            f"The weights of the preset {preset.name!r} are not those recorded: {path} {fault}.",
            how_to_get(preset)
            if preset.origin == "pulled"
            else "Install the package again, or restore the folder.",
        )
    try:
        header = read_header(path)
    except WeightsError as error:
        raise PresetError(error.message, error.hint) from error
    return VerifyReport(
        name=preset.name,
        folder=str(preset.folder),
        size=path.stat().st_size,
        sha256=sha256,
        recorded=preset.weights.sha256 is not None,
        tensors=len(header.tensors),
        parameters=header.parameters,
    )


def compare(path: Path, preset: Preset) -> tuple[str, str]:
    """What is wrong with a weights file against the record, or "", and its sha256.

    Where the length is wrong already, the checksum is not computed and comes empty.
    """
    recorded, size = preset.weights, path.stat().st_size
    if recorded.size is not None and size != recorded.size:
        if git_lfs.is_pointer(path):
            return f"is a git-lfs pointer, not the file itself ({git_lfs.HINT})", ""
        return f"has {size} bytes, expected {recorded.size}", ""
    sha256 = file_digest(path)
    if recorded.sha256 is not None and sha256 != recorded.sha256:
        return f"has sha256 {sha256}, expected {recorded.sha256}", sha256
    return "", sha256
