"""Checkpoints of the original VDVAE in and out of preset folders. Needs no Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.errors import ConfigError, PresetError, WeightsError, did_you_mean
from hvae_core.files.digests import file_digest
from hvae_core.zoo.finding import find_preset, list_presets
from hvae_core.zoo.preset import Preset
from hvae_core.zoo.writing import write_preset

if TYPE_CHECKING:
    from hvae_core.config import Config

#: presets in the original's architecture are named after the original's configurations
PREFIX = "openai-"


def import_openai_vdvae(
    checkpoint: str | Path,
    output: str | Path,
    config: str | None = None,
    overwrite: bool = False,
) -> Preset:
    """Make a preset folder of a checkpoint that openai/vdvae wrote.

    Args:
        checkpoint: the ``.th`` file, of raw or averaged weights, or a ``.safetensors`` file with
            the same names.
        output: the preset's folder.
        config: a configuration of the original (``cifar10``), or a JSON file with its keys. None:
            the original's configuration that has the checkpoint's tensors.
        overwrite: replace a preset in ``output``.

    Returns:
        The preset.

    Raises:
        WeightsError: the file is no checkpoint, or does not fit; nothing is written.
        ConfigError: the configuration is unknown or impossible.
        PresetError: ``output`` cannot be used.
    """
    from hvae_core.importing.torch_files import read_state_dict
    from hvae_core.weights.model_weights import file_metadata
    from hvae_core.weights.tensors import write_tensors
    from hvae_plugins.importers.openai_vdvae.tensors import from_original

    tensors = read_state_dict(checkpoint)
    chosen = recognise(tensors, Path(checkpoint)) if config is None else _configuration(config)
    arrays = from_original(tensors, chosen)
    output = Path(output)
    info: dict[str, Any] = {
        "notes": f"Imported from {Path(checkpoint).name} (sha256 {file_digest(Path(checkpoint))}), "
        "a checkpoint of openai/vdvae."
    }
    metadata = file_metadata({"preset": output.resolve().name})
    return write_preset(
        output,
        chosen,
        lambda path: write_tensors(arrays, path, metadata),
        info=info,
        overwrite=overwrite,
    )


def export_openai_vdvae(source: str | Path | Preset, output: str | Path) -> Path:
    """Write a preset's weights under the original's names, as its ``torch.load`` reads them.

    Args:
        source: a preset's name or folder.
        output: the file; with the suffix ``.safetensors``, that format.

    Raises:
        PresetError: there is no such preset, or it has no weights here.
        ConfigError: its model is none of the original's architecture.
    """
    from hvae_core.importing.torch_files import write_state_dict
    from hvae_core.weights.tensors import read_tensors
    from hvae_plugins.importers.openai_vdvae.tensors import to_original

    preset = find_preset(source)
    if preset.weights_path is None:
        raise PresetError(
            f"The preset {preset.name!r} has no weights here.", "Pull it or train it first."
        )
    return write_state_dict(to_original(read_tensors(preset.weights_path), preset.config), output)


def original_configurations() -> dict[str, Preset]:
    """The original's configurations by its names, as the presets that hold them."""
    return {name.removeprefix(PREFIX): find_preset(name) for name in list_presets(f"{PREFIX}*")}


def recognise(tensors: dict[str, Any], path: Path) -> Config:
    """The original's configuration that has exactly these tensors.

    Raises:
        WeightsError: there is none.
    """
    from hvae_plugins.importers.openai_vdvae.tensors import mismatches, tensor_pairs

    known = original_configurations()
    faults = {}
    for name, preset in known.items():
        faults[name] = mismatches(tensors, tensor_pairs(preset.config))
        if not faults[name]:
            return preset.config
    raise WeightsError(
        f"{path} has the tensors of no configuration of the original ({', '.join(known)}).",
        "Give --config FILE.json with its keys, or --config NAME to see what differs.",
    )


def _configuration(name: str) -> Config:
    from hvae_core.config import parse_config
    from hvae_plugins.importers.openai_vdvae.configurations import translate

    known = original_configurations()
    if name.removeprefix(PREFIX) in known:
        return known[name.removeprefix(PREFIX)].config
    path = Path(name)
    if path.suffix != ".json" and not path.is_file():
        raise ConfigError(
            f"The original has no configuration {name!r}.",
            f"{did_you_mean(name, known)} A JSON file with its keys will do, too.",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no keys; expected those of the original's configuration.")
    try:
        return parse_config(translate(content))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", error.hint) from error
