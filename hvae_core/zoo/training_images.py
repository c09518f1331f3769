"""What is recorded of the images that a model was trained beside: of a run, or of a preset of it.

A preset has it in ``trained.splits``: the number and SHA-256 of the images of each split.
"""

from __future__ import annotations

from pathlib import Path

from hvae_core.errors import HvaeError, PresetError
from hvae_core.runs.data_record import DataRecord, record_of
from hvae_core.zoo.finding import find_preset
from hvae_core.zoo.preset import PRESET_FILE, Preset

KEY = "splits"


def find_data_record(source: str | Path | None) -> DataRecord | None:
    """The record of a model's images.

    Args:
        source: what the model was loaded from.

    Returns:
        None where nothing is recorded, or ``source`` is neither a run nor a preset.

    Raises:
        HvaeError: the record is damaged.
    """
    record = record_of(source)
    if source is None or record is not None:
        return record
    try:
        preset = find_preset(source)
    except HvaeError:
        return None
    return data_record(preset)


def data_record(preset: Preset) -> DataRecord | None:
    """The record of a preset, without the digests of its images; None where it has none.

    Raises:
        PresetError: it is malformed.
    """
    splits = (preset.info.get("trained") or {}).get(KEY)
    if splits is None:
        return None
    try:
        return DataRecord.of_summary(splits)
    except ValueError as error:
        raise PresetError(
            f"{preset.folder / PRESET_FILE}: trained.{KEY} must give images and sha256 of each "
            "split, train among them.",
            "Remove it; whether images are those of the training is then not known.",
        ) from error
