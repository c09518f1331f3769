"""The format ``openvino``: IR files, which OpenVINO's runtimes in Python, C++ and C read."""

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


class OpenVINOExporter(Exporter):
    """Writes ``generator.xml`` and ``posterior.xml`` with their weights beside them."""

    backend = "openvino"
    precisions = ("float32", "float16", "int8")

    def __init__(self, options: Any) -> None:
        self.options = options

    def check_output(self, output: Path) -> None:
        """See `Exporter.check_output`."""
        from hvae_core.exporting import check_output  # running an export needs none of this

        check_output(output)

    def export(self, preset: Preset, output: Path, precision: str = "float32") -> dict[str, Any]:
        """See `Exporter.export`; adds what `hvae_core.exporting.compare` gives."""
        from hvae_core.exporting import export_graphs
        from hvae_plugins.exporters.openvino.graph_files import save_graph

        if precision == "int8" and importlib.util.find_spec("nncf") is None:
            raise MissingDependencyError.for_extra("nncf", "int8", "The precision int8")

        def save(graph: Graph, network: Any, path: Path) -> list[str]:
            return save_graph(graph, path, precision)

        return export_graphs(preset, output, "openvino", precision, ".xml", save)

    def open(self, path: Path, mode: Mode = "latency", cache: bool = True) -> Runtime:
        """See `Exporter.open`."""
        if importlib.util.find_spec("openvino") is None:
            raise MissingDependencyError.for_extra("openvino", "openvino", "This exported model")
        from hvae_core.exported.openvino_runtime import GraphFile

        return GraphFile(path, mode, cache)


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the format."""
    return ComponentSpec(
        kind="export",
        name="openvino",
        summary="OpenVINO IR of the generator and the posterior pass, weights float32/float16/int8",
        builder=OpenVINOExporter,
    )
