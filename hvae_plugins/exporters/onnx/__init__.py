"""The format ``onnx``: the same graphs for onnxruntime and all else that reads ONNX."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.errors import MissingDependencyError
from hvae_core.interfaces import Exporter, Mode, Runtime
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec

if TYPE_CHECKING:
    from hvae_core.inference.programs import Graph
    from hvae_core.zoo import Preset

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class OnnxExporter(Exporter):
    """Writes ``generator.onnx`` and ``posterior.onnx`` with PyTorch's exporter."""

    backend = "torch"
    precisions = ("float32", "float16", "int8")

    def __init__(self, options: Any) -> None:
        self.options = options

    def check_output(self, output: Path) -> None:
        """See `Exporter.check_output`."""
        for package in PACKAGES:
            if importlib.util.find_spec(package) is None:
                raise MissingDependencyError.for_extra(package, "onnx", "The format onnx")
        from hvae_core.exporting import check_output  # running an export needs none of this

        check_output(output)

    def export(self, preset: Preset, output: Path, precision: str = "float32") -> dict[str, Any]:
        """See `Exporter.export`; adds what `hvae_core.exporting.compare` gives."""
        from hvae_core.exporting import export_graphs
        from hvae_plugins.exporters.onnx.graph_files import save_graph

        def save(graph: Graph, network: Any, path: Path) -> list[str]:
            return save_graph(graph, network, path, precision)

        return export_graphs(preset, output, "onnx", precision, ".onnx", save)

    def open(self, path: Path, mode: Mode = "latency", cache: bool = True) -> Runtime:
        """See `Exporter.open`; onnxruntime has one mode, and keeps nothing."""
        if importlib.util.find_spec("onnxruntime") is None:
            raise MissingDependencyError.for_extra("onnxruntime", "onnx", "This exported model")
        from hvae_core.exported.onnx_runtime import OnnxFile

        return OnnxFile(path)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the format."""
    return ComponentSpec(
        kind="export",
        name="onnx",
        summary="ONNX of the generator and the posterior pass, weights float32/float16/int8",
        builder=OnnxExporter,
    )
