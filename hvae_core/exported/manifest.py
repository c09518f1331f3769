"""An export folder: the graphs' files and ``manifest.json``, which says all about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hvae_core.errors import BadInputError
from hvae_core.files.json_files import read_object

MANIFEST = "manifest.json"
FORMAT, VERSION = "hvae-export", 1
#: what a runner needs to know
NEEDED = {"runtime", "image_shape", "latent_shapes", "likelihood", "graphs", "files", "config"}


def is_export_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder with a manifest."""
    return (Path(path) / MANIFEST).is_file()


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of an export folder, whose files are there in their recorded size.

    Raises:
        BadInputError: it is missing, damaged or of a later version, or a file is.
    """
    path = Path(folder) / MANIFEST
    manifest = read_object(path, BadInputError, "Export the model again.")
    if manifest.get("format") != FORMAT:
        raise BadInputError(f"{path} is no manifest of an exported model.")
    if manifest.get("version") != VERSION:
        raise BadInputError(
            f"{path} is of version {manifest.get('version')}; this hvae reads version {VERSION}.",
            "Export the model again with this hvae, or update hvae.",
        )
    if missing := NEEDED - set(manifest):
        raise BadInputError(
            f"{path} lacks {', '.join(sorted(missing))}.", "Export the model again."
        )
    if not isinstance(manifest["runtime"], str):
        raise BadInputError(
            f"{path} has the runtime {manifest['runtime']!r}; it must be the name of a format.",
            "Export the model again.",
        )
    for name, record in manifest["files"].items():
        file = path.parent / name
        if not file.is_file() or file.stat().st_size != record["size"]:
            raise BadInputError(
                f"{file} is missing or not of the recorded size.", "Export the model again."
            )
    return manifest
