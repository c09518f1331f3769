"""Tracing a model's graphs and writing them as OpenVINO's files. Needs Keras on OpenVINO."""

from __future__ import annotations

from pathlib import Path

import openvino

from hvae_core.backends.openvino.tracing import trace
from hvae_core.inference.programs import Graph
from hvae_plugins.exporters.openvino.int8 import with_int8_weights


def save_graph(graph: Graph, path: Path, precision: str) -> list[str]:
    """Write ``graph`` to ``path`` (.xml) and a .bin beside it.

    Args:
        graph: of a model on the openvino backend.
        path: the file.
        precision: what the weights are stored in: float32, float16 or int8 (symmetric, a scale for
            each output channel). Computed is in float32.

    Returns:
        The names of the outputs.

    Raises:
        HvaeError: the weights cannot be stored so.
    """
    model, places = trace(graph.function, list(graph.inputs))
    for name, place in places.items():
        model.output(place).get_tensor().set_names({name})
    if precision == "int8":
        model = with_int8_weights(model)
    openvino.save_model(model, path, compress_to_fp16=precision == "float16")
    return list(places)
