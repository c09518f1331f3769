"""From another implementation's checkpoint to a preset folder.

Needs Keras only for an importer that leaves it to us whether the weights fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hvae_core.backends.selection import select_backend
from hvae_core.errors import HvaeError, WeightsError
from hvae_core.fetching.transfer import Promise
from hvae_core.files.digests import file_digest
from hvae_core.files.paths import exists, real_name
from hvae_core.files.replacing import replace_file
from hvae_core.files.yaml_files import dump_yaml
from hvae_core.importing import find_importer
from hvae_core.interfaces import Imported
from hvae_core.weights.model_weights import assign, check_finite, file_metadata
from hvae_core.weights.tensors import write_tensors
from hvae_core.zoo.finding import find_preset, list_presets
from hvae_core.zoo.originals import Original
from hvae_core.zoo.preset import PRESET_FILE, WEIGHTS_FILE, Preset
from hvae_core.zoo.writing import check_target, write_preset


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
    check_target(output, overwrite, "--overwrite")
    importer = find_importer(format, options)
    names = list_presets(importer.presets) if importer.presets else []
    known = {name: find_preset(name).config for name in names}
    if not exists(checkpoint):
        raise WeightsError(f"There is no file {checkpoint}.", "Give the checkpoint's path.")
    found = importer.read(Path(checkpoint), config, known)
    check_finite(found.arrays, str(checkpoint))
    if not importer.checks_weights:
        _check_fit(found, str(checkpoint))
    output = Path(output)
    metadata = file_metadata({"preset": real_name(output)})
    return write_preset(
        output,
        found.config,
        lambda path: write_tensors(found.arrays, path, metadata),
        info={"notes": found.notes},
        overwrite=overwrite,
    )


def fetch_originals(
    original: Original, folder: Path, fetch: Callable[[str, Path, Promise], object]
) -> None:
    """Bring an original's files, each from the first of its sources that has it.

    Args:
        original: what is wanted.
        folder: where the files go.
        fetch: brings a file from a source to a path, if it keeps the promise.

    Raises:
        DownloadError: a file could not be had, or is not what was promised.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    folder.mkdir(exist_ok=True)
    for file in original.files:
        errors: list[HvaeError] = []
        for source in file.sources:
            try:
                fetch(source, folder / file.name, Promise(sha256=file.sha256, size=file.size))
                break
            except HvaeError as error:
                errors.append(error)
        else:
            raise errors[0]


def convert(preset: Preset, original: Original, files: Path) -> None:
    """Make a preset's weights of an original's checkpoint, and record their checksum.

    Nothing in the files is run. ``preset.yaml`` and the weights are written in the preset's folder.

    Args:
        preset: of which the weights are to be.
        original: what its record says.
        files: the folder of the original's files, which are those of the record.

    Raises:
        WeightsError: the checkpoint is damaged, or is another model's than the preset's.
        ConfigError: the format's options or the original's configuration are impossible.
        PluginError: there is no such format.
        MissingDependencyError: the format needs a package that is not installed.
    """
    importer = find_importer(original.format, original.options)
    checkpoint = files if original.checkpoint is None else files / original.checkpoint
    config, known = None, {preset.name: preset.config}
    if original.config is not None:
        config = str(files / original.config)
    elif original.checkpoint is not None:
        config = preset.name
    found = importer.read(checkpoint, config, known)
    ours, theirs = preset.config, found.config
    if (ours.model, ours.likelihood) != (theirs.model, theirs.likelihood):
        raise WeightsError(
            f"The checkpoint is of another model than the preset {preset.name!r} describes.",
            "Tell its author; hvae import makes a preset of the checkpoint's own configuration.",
        )
    check_finite(found.arrays, str(checkpoint))
    if not importer.checks_weights:
        _check_fit(found, str(checkpoint))
    path = write_tensors(
        found.arrays, preset.folder / WEIGHTS_FILE, file_metadata({"preset": preset.name})
    )
    info = dict(preset.info)
    record = {"sha256": file_digest(path), "size": path.stat().st_size}
    info["weights"] = {**info["weights"], **record}
    info["parameters"] = sum(array.size for array in found.arrays.values())
    replace_file(preset.folder / PRESET_FILE, dump_yaml(info, inline="leaves", width=100))


def _check_fit(found: Imported, source: str) -> None:
    """Refuse arrays that are not those of the configuration's model."""
    select_backend()
    from hvae_core.model.network import HierarchicalNetwork

    likelihood = found.config.build_likelihood()
    assign(HierarchicalNetwork(found.config.model, likelihood), found.arrays, source)
