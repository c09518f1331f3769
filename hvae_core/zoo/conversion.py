"""From another implementation's checkpoint to a preset folder.

Needs Keras only for an importer that leaves it to us whether the weights fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hvae_core.backends.selection import select_backend
from hvae_core.errors import WeightsError
from hvae_core.importing import find_importer
from hvae_core.interfaces import Imported
from hvae_core.weights.model_weights import assign, check_finite, file_metadata
from hvae_core.weights.tensors import write_tensors
from hvae_core.zoo.finding import find_preset, list_presets
from hvae_core.zoo.preset import Preset
from hvae_core.zoo.writing import write_preset


def import_checkpoint(
    format: str,
    checkpoint: str | Path,
    output: str | Path,
    config: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Preset:
    """Make a preset folder of a checkpoint that another implementation wrote.

    Args:
        format: a plugin of the kind ``import``, such as ``openai-vdvae``.
        checkpoint: the file.
        output: the preset's folder.
        config: the other's configuration, by name or as a file; see `Importer.read`.
        options: the format's options.
        overwrite: replace a preset in ``output``.

    Returns:
        The preset.

    Raises:
        WeightsError: the file is no checkpoint, or does not fit; nothing is written.
        ConfigError: the format or the configuration is unknown or impossible.
        PresetError: ``output`` cannot be used.
    """
    importer = find_importer(format, options)
    names = list_presets(importer.presets) if importer.presets else []
    known = {name: find_preset(name).config for name in names}
    if not Path(checkpoint).exists():
        raise WeightsError(f"There is no file {checkpoint}.", "Give the checkpoint's path.")
    found = importer.read(Path(checkpoint), config, known)
    check_finite(found.arrays, str(checkpoint))
    if not importer.checks_weights:
        _check_fit(found, str(checkpoint))
    output = Path(output)
    metadata = file_metadata({"preset": output.resolve().name})
    return write_preset(
        output,
        found.config,
        lambda path: write_tensors(found.arrays, path, metadata),
        info={"notes": found.notes},
        overwrite=overwrite,
    )


def _check_fit(found: Imported, source: str) -> None:
    """Refuse arrays that are not those of the configuration's model."""
    select_backend()
    from hvae_core.model.network import HierarchicalNetwork

    likelihood = found.config.build_likelihood()
    assign(HierarchicalNetwork(found.config.model, likelihood), found.arrays, source)
