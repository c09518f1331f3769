"""Exporting a preset, a run or a live model in a format, whatever backend this process runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.backends.selection import active_backend, select_backend
from hvae_core.config import create_component
from hvae_core.errors import BadInputError, HvaeError, PresetError, did_you_mean
from hvae_core.exported import is_export_folder, load_exported
from hvae_core.exporting.comparison import compare
from hvae_core.exporting.export_folder import describe, report, write_folder
from hvae_core.files.paths import real_name
from hvae_core.inference.engine import LiveEngine
from hvae_core.inference.programs import Graph, graphs
from hvae_core.interfaces import Exporter
from hvae_core.plugins import manager
from hvae_core.runs.run_folder import is_run_folder
from hvae_core.weights import load_weights
from hvae_core.zoo import Preset, find_preset, save_model, write_preset
from hvae_core.zoo.finding import find_source
from hvae_core.zoo.preset import check_name, how_to_get
from hvae_core.zoo.writing import Savable

if TYPE_CHECKING:
    from hvae_core.model.network import HierarchicalNetwork

#: of the preset that a run or a live model is written as, whatever it is called
_FOLDER = "model"


def exporter(format: str, precision: str) -> Exporter:
    """The exporter of a format, a plugin of the kind ``export``.

    Raises:
        PluginError: there is no such format.
        BadInputError: it has no such precision.
    """
    manager().find("export", format)
    chosen: Exporter = create_component("export", format).build()
    if precision not in chosen.precisions:
        raise BadInputError(
            f"The format {format} has no precision {precision!r}.",
            did_you_mean(precision, chosen.precisions),
        )
    return chosen


def check_export(
    output: str | Path, format: str = "openvino", precision: str = "float32"
) -> Exporter:
    """The exporter that writes ``output``, found before anything is loaded.

    Arguments and errors as in `export_source`.
    """
    chosen = exporter(format, precision)
    chosen.check_output(Path(output))
    return chosen


def export_source(
    source: str | Path | Preset,
    output: str | Path,
    format: str = "openvino",
    precision: str = "float32",
) -> dict[str, Any]:
    """Write a preset's or a run's model in a format.

    Where Keras already runs on another backend than the format needs, a process of its own does
    the work.

    Args:
        source: what `hvae_core.load` takes.
        output: the folder or file.
        format: openvino, onnx, openai-vdvae, or a plugin's.
        precision: of the weights: float32, float16 or int8, where the format has it.

    Returns:
        What was written, as the format tells it; ``output`` is always there.

    Raises:
        HvaeError: the format, its backend, the source or the output cannot be used.
    """
    output = Path(output)
    chosen = check_export(output, format, precision)
    with tempfile.TemporaryDirectory() as folder:
        preset = as_preset(source, Path(folder))
        if chosen.backend is not None:
            if active_backend() not in (None, chosen.backend):
                return _in_a_process(chosen.backend, preset, output, format, precision)
            select_backend(chosen.backend)
        return chosen.export(preset, output, precision)


def export_model(
    model: Savable, output: str | Path, format: str = "openvino", precision: str = "float32"
) -> dict[str, Any]:
    """Write a live model in a format; arguments, result and errors as in `export_source`."""
    check_export(output, format, precision)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / _FOLDER
        save_model(model, saved, info={"name": _preset_name(Path(output).stem)})
        return export_source(saved, output, format, precision)


def open_network(preset: Preset) -> HierarchicalNetwork:
    """The network of a preset with its weights, in float32, on the backend of this process.

    Raises:
        WeightsError: the weights are damaged or another model's.
    """
    from hvae_core.model.network import HierarchicalNetwork

    config = preset.config
    network = HierarchicalNetwork(config.model, config.build_likelihood(), seed=config.train.seed)
    assert preset.weights_path is not None  # `as_preset` has made sure
    load_weights(network, preset.weights_path)
    return network


def export_graphs(
    preset: Preset,
    output: Path,
    format: str,
    precision: str,
    suffix: str,
    save: Callable[[Graph, HierarchicalNetwork, Path], list[str]],
) -> dict[str, Any]:
    """Write a preset's graphs as an export folder, and compare what it gives with the model.

    Args:
        preset: the model.
        output: the folder.
        format: the format's name, which also runs the folder.
        precision: of the weights.
        suffix: of a graph's main file, such as ``.onnx``.
        save: writes a graph of a network to a file, and returns the names of its outputs.

    Returns:
        What an exporter returns, see `report`.
    """
    network = open_network(preset)

    def write(folder: Path) -> Mapping[str, Any]:
        saved = []
        for graph in graphs(network, completes=preset.config.measurement is not None):
            file = f"{graph.name}{suffix}"
            saved.append((graph, file, save(graph, network, folder / file)))
        manifest = describe(
            preset.config,
            network,
            saved,
            runtime=format,
            precision=precision,
            preset=preset.name,
        )
        manifest["figures"] = compare(
            preset.config, LiveEngine(network), load_exported(folder, manifest=manifest)
        )
        return manifest

    return report(output, format, write_folder(output, write))


def as_preset(source: str | Path | Preset, folder: Path) -> Preset:
    """The preset that ``source`` is, or one made in ``folder`` of a run's averaged weights.

    Raises:
        PresetError: it has no weights on this machine, or is no preset.
    """
    if isinstance(source, str | Path) and is_export_folder(source):
        raise PresetError(
            f"{source} is an exported model already.", "Export the model that it was made of."
        )
    if isinstance(source, str | Path) and is_run_folder(source):
        config, weights = find_source(source)
        return write_preset(
            folder / _FOLDER, config, weights, info={"name": _preset_name(real_name(source))}
        )
    preset = find_preset(source)
    if preset.weights_path is None:
        raise PresetError(f"The preset {preset.name!r} has no weights here.", how_to_get(preset))
    return preset


def _preset_name(name: str) -> str:
    """The name, for a preset that is written for the export alone, if a preset can have it."""
    try:
        return check_name(name, "the model")
    except PresetError:
        return _FOLDER


def _in_a_process(
    backend: str, preset: Preset, output: Path, format: str, precision: str
) -> dict[str, Any]:
    # -P: no module of the current folder is taken for one of theirs.
    command = [
        sys.executable, "-P", "-m", "hvae_core.cli.main", "--backend", backend, "export",
        str(preset.folder.resolve()), "-o", str(output.resolve()), "--format", format,
        "--precision", precision, "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise HvaeError(f"The export on the backend {backend} failed: {last}.") from None
    if "error" in answer:
        error = BadInputError if done.returncode == 2 else HvaeError
        raise error(answer["error"]["message"], answer["error"]["hint"])
    return {**answer, "output": str(output)}
