"""Checkpoints of zea's hierarchical VAE (``zea.models.hvae``), as a plugin.

`namespace`: its arguments in our terms; `keras_weights`: its arrays and ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pydantic

from hvae_core.config import Config, parse_config
from hvae_core.errors import ConfigError, WeightsError, did_you_mean
from hvae_core.files.digests import file_digest
from hvae_core.interfaces import Imported, Importer
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_plugins.importers.zea.keras_weights import from_zea, read_arrays
from hvae_plugins.importers.zea.namespace import read_namespace, translate

ARGUMENTS_FILE = "args.pkl"
_WEIGHTS_FILE = re.compile(r"hvae_([A-Za-z0-9_-]+)\.weights\.h5")


class ZeaConfig(pydantic.BaseModel):
    """Options of the format."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    version: str | None = pydantic.Field(
        None,
        description="which weights: lvh is hvae_lvh.weights.h5; may be left out where there is one",
    )


class ZeaImporter(Importer):
    """Reads a folder with ``args.pkl`` and ``hvae_VERSION.weights.h5``."""

    checks_weights = True

    def __init__(self, options: ZeaConfig) -> None:
        self.options = options

    def read(self, checkpoint: Path, config: str | None, known: Mapping[str, Config]) -> Imported:
        """See `Importer.read`; ``config`` is the arguments' file where it lies elsewhere."""
        if not checkpoint.is_dir():
            raise WeightsError(
                f"{checkpoint} is a file; expected a folder with {ARGUMENTS_FILE} and "
                "hvae_VERSION.weights.h5.",
                "Give the folder, and which weights with --version.",
            )
        path = find_weights(checkpoint, self.options.version)
        arguments = Path(config) if config is not None else checkpoint / ARGUMENTS_FILE
        values = read_namespace(arguments)
        try:
            chosen = parse_config(translate(values))
        except ConfigError as error:
            raise ConfigError(f"{arguments}: {error.message}", error.hint) from error
        arrays = from_zea(read_arrays(path, chosen), chosen)
        notes = (
            f"Imported from {path.name} (sha256 {file_digest(path)}), weights of "
            "zea.models.hvae. The images are what zea takes: -1 to 1 is 0 to 255 here."
        )
        return Imported(chosen, arrays, notes)


def find_weights(folder: Path, version: str | None) -> Path:
    """The weights' file of a version in a folder.

    Raises:
        WeightsError: there is none, or several of which none was chosen.
    """
    found = {
        match[1]: path
        for path in sorted(folder.iterdir())
        if (match := _WEIGHTS_FILE.fullmatch(path.name)) and path.is_file()
    }
    if not found:
        raise WeightsError(f"{folder} has no file hvae_VERSION.weights.h5.")
    if version is None and len(found) == 1:
        return next(iter(found.values()))
    if version is None:
        raise WeightsError(
            f"{folder} has the weights of several versions: {', '.join(found)}.",
            "Choose one with --version.",
        )
    if version not in found:
        raise WeightsError(
            f"{folder} has no weights of version {version!r}, hvae_{version}.weights.h5.",
            did_you_mean(version, found),
        )
    return found[version]


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the format."""
    return ComponentSpec(
        kind="import",
        name="zea",
        summary="Folders of zea's hierarchical VAE (args.pkl and hvae_VERSION.weights.h5)",
        builder=ZeaImporter,
        config=ZeaConfig,
        references=("zea, a toolbox for cognitive ultrasound imaging, zea.models.hvae",),
    )
