"""An export folder: the graphs' files and ``manifest.json``, which says all about them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hvae_core.errors import BadInputError
from hvae_core.files.digests import file_digest
from hvae_core.files.foreign_numbers import is_number, is_whole
from hvae_core.files.json_files import read_object
from hvae_core.files.paths import is_file

MANIFEST = "manifest.json"
FORMAT, VERSION = "hvae-export", 1
#: of an axis, a number of channels
MOST = 65_536
#: the names of so many classes are the most of it
MAX_BYTES = 16 << 20
#: the largest value of integers of a type
_HIGHEST = {"uint8": 255, "uint16": 65_535}
#: what a runner needs to know
NEEDED = {"runtime", "image_shape", "latent_shapes", "likelihood", "graphs", "files", "config"}


def is_export_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder with a manifest."""
    return is_file(Path(path) / MANIFEST)


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of an export folder, whose files are there in their recorded size.

    Raises:
        BadInputError: it is missing, damaged or of a later version, or a file is.
    """
    path = Path(folder) / MANIFEST
    manifest = read_object(path, BadInputError, "Export the model again.", MAX_BYTES)
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
    fault = _fault(manifest)
    if fault:
        raise BadInputError(f"{path}: {fault}.", "Export the model again.")
    for name, record in manifest["files"].items():
        file = path.parent / name
        if not file.is_file() or file.stat().st_size != record["size"]:
            raise BadInputError(
                f"{file} is missing or not of the recorded size.", "Export the model again."
            )
    return manifest


def check_graph(folder: Path, manifest: Mapping[str, Any], graph: str) -> Path:
    """The main file of a graph, whose files have their recorded checksums.

    Raises:
        BadInputError: one is damaged.
    """
    main = Path(manifest["graphs"][graph]["file"])
    for name, record in manifest.get("files", {}).items():
        # Such as the weights of an OpenVINO graph, and of an ONNX graph above 1 GiB.
        if name.startswith(f"{main.stem}.") and file_digest(folder / name) != record["sha256"]:
            raise BadInputError(f"{folder / name} is damaged.", "Export the model again.")
    return folder / main


def _fault(manifest: Mapping[str, Any]) -> str:
    """What is wrong with the keys that a runner needs; empty if nothing is."""
    runtime, likelihood, files = (manifest[key] for key in ("runtime", "likelihood", "files"))
    if not isinstance(runtime, str):
        return f"the runtime is {runtime!r}; it must be the name of a format"
    if not _is_shape(manifest["image_shape"]):
        return "image_shape must be [H, W, C]"
    shapes = manifest["latent_shapes"]
    if not isinstance(shapes, list) or not shapes or not all(map(_is_shape, shapes)):
        return "latent_shapes must be a list of [h, w, c]"
    if not isinstance(likelihood, dict) or not (
        _is_text(likelihood.get("name"))
        and likelihood.get("unit") in ("bits/dim", "nats")
        and _is_count(likelihood.get("noise_channels"), 0)
    ):
        return "likelihood must have a name, a unit (bits/dim or nats) and noise_channels"
    values = manifest.get("image_values")
    if values is not None and not _are_values(values):
        return "image_values must give dtype, low, high and unit"
    encoder, condition = manifest.get("encoder_shape"), manifest.get("condition")
    if encoder is not None and not _is_shape(encoder):
        return "encoder_shape must be [H, W, C]"
    if condition is not None and not _is_condition(condition):
        return "condition must give form (class or numbers), size, names and dropout"
    if not isinstance(manifest["config"], dict):
        return "config must be a mapping"
    if not isinstance(files, dict) or not all(map(_is_record, files.items())):
        return "files must give the size and sha256 of each file in the folder"
    graphs = manifest["graphs"]
    if not isinstance(graphs, dict) or not {"generator", "posterior"} <= set(graphs):
        return "graphs must have a generator and a posterior"
    for name in ("generator", "posterior", *({"guided", "completion"} & set(graphs))):
        graph = graphs[name]
        if not isinstance(graph, dict) or graph.get("file") not in [*files]:
            return f"graphs.{name}.file must be one of the files"
        outputs = graph.get("outputs")
        if not isinstance(outputs, list) or not all(isinstance(o, str) for o in outputs):
            return f"graphs.{name}.outputs must be a list of names"
    return ""


def _are_values(values: Any) -> bool:
    if not isinstance(values, dict) or set(values) != {"dtype", "low", "high", "unit"}:
        return False
    dtype, low, high = values["dtype"], values["low"], values["high"]
    if not is_number(low) or not is_number(high) or not low < high or not _is_text(values["unit"]):
        return False
    if dtype not in ("uint8", "uint16"):
        return bool(dtype == "float32")
    return bool(low == 0 and high == int(high) and high <= _HIGHEST[dtype])


def _are_numbers(values: Any, count: Any) -> bool:
    return isinstance(values, list) and len(values) == count and all(map(is_number, values))


def _is_condition(condition: Any) -> bool:
    keys = {"form", "size", "names", "dropout"}
    if not isinstance(condition, dict) or set(condition) - {"typical"} != keys:
        return False
    names, dropout = condition["names"], condition["dropout"]
    if "typical" in condition and not _are_numbers(condition["typical"], condition["size"]):
        return False
    return (
        condition["form"] in ("class", "numbers")
        and _is_count(condition["size"])
        and isinstance(names, list)
        and len(names) <= condition["size"]
        and all(map(_is_text, names))
        and is_number(dropout)
        and 0 <= dropout < 1
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) < 100


def _is_count(value: Any, least: int = 1) -> bool:
    return is_whole(value, least, MOST)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_count, value))


def _is_record(item: tuple[str, Any]) -> bool:
    name, record = item
    is_plain = name not in ("", ".", "..") and not set("/\\\0") & set(name)
    return (
        is_plain
        and isinstance(record, dict)
        and is_whole(record.get("size"))
        and isinstance(record.get("sha256"), str)
    )
