"""An export folder: the graphs' files and ``manifest.json``, which says all about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.errors import BadInputError
from hvae_core.files.digests import file_digest
from hvae_core.files.replacing import disk_errors, replacing_folder
from hvae_core.files.versions import hvae_version

if TYPE_CHECKING:
    from hvae_core.inference.programs import Graph
    from hvae_core.model import HierarchicalVAE

MANIFEST = "manifest.json"
FORMAT, VERSION = "hvae-export", 1
#: what a runner needs to know
NEEDED = {"runtime", "image_shape", "latent_shapes", "likelihood", "graphs", "files", "config"}


def is_export_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder with a manifest."""
    return (Path(path) / MANIFEST).is_file()


def describe(
    model: HierarchicalVAE, graphs: Iterable[tuple[Graph, str, list[str]]], **more: Any
) -> dict[str, Any]:
    """The manifest of an export.

    Args:
        model: the model.
        graphs: each with the name of its main file and its outputs.
        more: further keys: runtime, precision, preset.
    """
    likelihood = model.likelihood
    return {
        "format": FORMAT,
        "version": VERSION,
        "hvae_version": hvae_version(),
        **more,
        "image_shape": list(model.image_shape),
        "latent_shapes": [list(shape) for shape in model.latent_shapes],
        "likelihood": {
            "name": model.config.likelihood.name,
            "unit": likelihood.unit,
            "noise_channels": likelihood.noise_channels(),
        },
        "graphs": {
            graph.name: {
                "file": file,
                "inputs": [
                    {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}
                    for spec in graph.inputs
                ],
                "outputs": outputs,
            }
            for graph, file, outputs in graphs
        },
        "config": model.config.to_dict(),
    }


def write_folder(output: Path, write: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """Make an export folder, whole or not at all.

    Args:
        output: the folder; an older export there is replaced.
        write: writes the files to the folder it is given and returns the manifest, to which the
            files' sizes and sha256 are added.

    Returns:
        The manifest.

    Raises:
        BadInputError: ``output`` holds something else.
        HvaeError: it cannot be written; ``output`` is as it was.
    """
    check_output(output)
    with disk_errors(f"write the export {output}"), replacing_folder(output) as work:
        manifest = dict(write(work))
        manifest["files"] = {
            path.name: {"size": path.stat().st_size, "sha256": file_digest(path)}
            for path in sorted(work.iterdir())
        }
        text = json.dumps(manifest, indent=1) + "\n"
        (work / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def report(output: Path, format: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What an exporter of export folders returns."""
    return {
        "output": str(output),
        "format": format,
        "precision": manifest["precision"],
        "bytes": sum(record["size"] for record in manifest["files"].values()),
        **manifest["figures"],
    }


def check_output(output: Path) -> None:
    """Refuse a file, or a folder of other things, before anything is computed.

    Raises:
        BadInputError: ``output`` is one.
    """
    if output.exists() and not output.is_dir():
        raise BadInputError(f"Cannot export to {output}: it is a file, not a folder.")
    if output.is_dir() and any(output.iterdir()) and not is_export_folder(output):
        raise BadInputError(
            f"Cannot export to {output}: the folder holds other files.", "Choose a new folder."
        )


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of an export folder, whose files are there in their recorded size.

    Raises:
        BadInputError: it is missing, damaged or of a later version, or a file is.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise BadInputError(f"{path} is not valid JSON.", "Export the model again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
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
    for name, record in manifest["files"].items():
        file = path.parent / name
        if not file.is_file() or file.stat().st_size != record["size"]:
            raise BadInputError(
                f"{file} is missing or not of the recorded size.", "Export the model again."
            )
    return manifest
