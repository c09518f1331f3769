"""What is checked of a preset that came from outside, before it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from hvae_core.errors import ConfigError, PresetError, WeightsError
from hvae_core.fetching.addresses import check_source
from hvae_core.weights.announced import check_announced
from hvae_core.weights.tensors import Header
from hvae_core.zoo.preset import Preset, read_preset
from hvae_core.zoo.training_images import data_record

#: of a weight; a convolution has four
MAX_AXES = 8
#: each may be waited for
MAX_SOURCES = 16


def checked(work: Path, name: str, base: str) -> Preset:
    """The preset in the workplace, if all of it is in order but for the weights to come."""
    try:
        preset = read_preset(work, name)
        data_record(preset)
        if (count := len(preset.weights.sources)) > MAX_SOURCES:
            raise PresetError(
                f"{name}: weights.sources names {count} addresses; at most {MAX_SOURCES} are taken."
            )
        original = preset.weights.to_convert
        for source in preset.weights.sources:
            check_source(source, f"{name}: weights.sources", named_by=base)
        for file in original.files if original is not None else ():
            if len(file.sources) > MAX_SOURCES:
                raise PresetError(
                    f"{name}: weights.original names {len(file.sources)} addresses of {file.name}; "
                    f"at most {MAX_SOURCES} are taken."
                )
            for source in file.sources:
                check_source(source, f"{name}: weights.original", named_by=base)
        mirror = getattr(preset.config.data.options, "url", None)
        if mirror is not None:
            check_source(str(mirror), f"{name}: data.url", named_by=base)
        if preset.config.train.trackers:
            # Whoever trained with it would send configuration and pictures to the author's server.
            raise PresetError(
                f"{name}: train.trackers must be empty in a preset from elsewhere; its author "
                "mends that with: hvae zoo push FOLDER DESTINATION, which leaves them out."
            )
        if preset.weights.sha256 is None and original is None:
            raise PresetError(
                f"The preset {name!r} records no weights.sha256, so what comes cannot be checked.",
                "Ask its author to add it; hvae writes it when a preset is saved.",
            )
    except (PresetError, ConfigError):
        shutil.rmtree(work, ignore_errors=True)
        raise
    return preset


def check_tensors(preset: Preset, header: Header) -> None:
    """Refuse tensors that are no model's, and fewer than the configuration asks for.

    Raises:
        WeightsError: of the first such tensor.
    """
    for name, entry in header.tensors.items():
        if not entry.count or len(entry.shape) > MAX_AXES:
            raise WeightsError(
                f"The weights of {preset.name!r} hold the tensor {name[:100]!r} of shape "
                f"{str(list(entry.shape))[:100]}, which no model has.",
                "They were damaged or made to do harm; take them from where you trust them.",
            )
    check_announced(preset.config, header, f"The weights file of {preset.name!r}")
