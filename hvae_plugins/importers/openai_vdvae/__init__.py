"""Checkpoints of the original VDVAE (openai/vdvae), as a plugin.

`configurations`: the original's configurations in our terms; `tensors`: its tensors and ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hvae_core.config import Config, parse_config
from hvae_core.errors import ConfigError, WeightsError, did_you_mean
from hvae_core.files.digests import file_digest
from hvae_core.files.json_files import read_object
from hvae_core.importing import read_state_dict
from hvae_core.importing.tensor_pairs import mismatches
from hvae_core.interfaces import Imported, Importer
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.importers.openai_vdvae.configurations import translate
from hvae_plugins.importers.openai_vdvae.original_tensors import (
    from_original,
    require_original,
    tensor_pairs,
)

#: presets in the original's architecture are named after the original's configurations
PREFIX = "openai-"


class OpenAIVDVAEImporter(Importer):
    """Reads a ``.th`` file of raw or averaged weights, or ``.safetensors`` with the same names."""

    presets = f"{PREFIX}*"
    checks_weights = True

    def __init__(self, options: Any) -> None:
        self.options = options

    def read(self, checkpoint: Path, config: str | None, known: Mapping[str, Config]) -> Imported:
        """See `Importer.read`; ``config`` is such as ``cifar10``, or a JSON file."""
        originals = {name.removeprefix(PREFIX): found for name, found in known.items()}
        # A configuration that there is not is told before gigabytes are read.
        known_as = None if config is None else find_configuration(config, originals)
        tensors = read_state_dict(checkpoint)
        chosen = known_as or recognise(tensors, checkpoint, originals)
        notes = (
            f"Imported from {checkpoint.name} (sha256 {file_digest(checkpoint)}), "
            "a checkpoint of openai/vdvae."
        )
        return Imported(chosen, from_original(tensors, chosen), notes)

    def describes(self, config: Config) -> bool:
        """See `Importer.describes`."""
        try:
            require_original(config)
        except ConfigError:
            return False
        return True


def recognise(tensors: Mapping[str, Any], path: Path, known: Mapping[str, Config]) -> Config:
    """The original's configuration that has exactly these tensors.

    Raises:
        WeightsError: there is none.
    """
    for config in known.values():
        if not mismatches(tensors, tensor_pairs(config)):
            return config
    raise WeightsError(
        f"{path} has the tensors of no configuration of the original ({', '.join(known)}).",
        "Give --config FILE.json with its keys, or --config NAME to see what differs.",
    )


def find_configuration(name: str, known: Mapping[str, Config]) -> Config:
    """The original's configuration of this name, or of a JSON file with its keys.

    Raises:
        ConfigError: there is none, or it is impossible.
    """
    if name.removeprefix(PREFIX) in known:
        return known[name.removeprefix(PREFIX)]
    path = Path(name)
    if path.suffix != ".json" and not path.is_file():
        raise ConfigError(
            f"The original has no configuration {name!r}.",
            f"{did_you_mean(name, known)} A JSON file with its keys will do, too.",
        )
    content = read_object(path, ConfigError, "Give a file with the original's configuration.")
    try:
        return parse_config(translate(content))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", error.hint) from error


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the format."""
    return ComponentSpec(
        kind="import",
        name="openai-vdvae",
        summary="Checkpoints of openai/vdvae, raw or averaged weights (.th or .safetensors)",
        builder=OpenAIVDVAEImporter,
        references=("Child 2020, Very Deep VAEs, arXiv 2011.10650",),
    )
