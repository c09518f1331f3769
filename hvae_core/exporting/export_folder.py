"""Writing an export folder, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.config import Config
from hvae_core.errors import BadInputError
from hvae_core.exported.manifest import FORMAT, MANIFEST, VERSION, is_export_folder
from hvae_core.files.digests import file_digest
from hvae_core.files.paths import check_replaceable
from hvae_core.files.replacing import disk_errors, replacing_folder
from hvae_core.files.versions import hvae_version
from hvae_core.inference.programs import Graph

if TYPE_CHECKING:
    from hvae_core.model.network import HierarchicalNetwork


def describe(
    config: Config,
    network: HierarchicalNetwork,
    graphs: Iterable[tuple[Graph, str, list[str]]],
    **more: Any,
) -> dict[str, Any]:
    """The manifest of an export.

    Args:
        config: the model's configuration.
        network: the model.
        graphs: each with the name of its main file and its outputs.
        more: further keys: runtime, precision, preset.
    """
    likelihood = network.likelihood
    further: dict[str, Any] = {}
    if network.encoder_shape != network.image_shape:
        further["encoder_shape"] = list(network.encoder_shape)
    if network.condition_values is not None:
        further["condition"] = network.condition_values.to_dict()
    return {
        "format": FORMAT,
        "version": VERSION,
        "hvae_version": hvae_version(),
        **more,
        "image_shape": list(network.image_shape),
        "image_values": network.image_values.to_dict(),
        **further,
        "latent_shapes": [list(shape) for shape in network.latent_shapes],
        "likelihood": {
            "name": config.likelihood.name,
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
        "config": config.to_dict(),
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
    """Refuse a file, or a folder that an export cannot replace, before anything is computed.

    Raises:
        BadInputError: ``output`` is a file, has other things in it, or is the current folder.
    """
    if output.exists() and not output.is_dir():
        raise BadInputError(f"Cannot export to {output}: it is a file, not a folder.")
    if output.is_dir() and any(output.iterdir()) and not is_export_folder(output):
        raise BadInputError(
            f"Cannot export to {output}: the folder holds other files.", "Choose a new folder."
        )
    check_replaceable(output)
