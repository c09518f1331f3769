"""Tracing a model's graphs and writing them as OpenVINO's files. Needs Keras on OpenVINO."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path

import openvino

from hvae_core.backends.openvino.tracing import trace
from hvae_core.inference.programs import Graph


def save_graph(graph: Graph, path: Path, precision: str) -> list[str]:
    """Write ``graph`` to ``path`` (.xml) and a .bin beside it.

    Args:
        graph: of a model on the openvino backend.
        path: the file.
        precision: what the weights are stored in: float32, float16 or int8 (symmetric, a scale for
            each output channel). Computed is in float32.

    Returns:
        The names of the outputs.
    """
    model, places = trace(graph.function, list(graph.inputs))
    for name, place in places.items():
        model.output(place).get_tensor().set_names({name})
    if precision == "int8":
        model = _with_int8_weights(model)
    openvino.save_model(model, path, compress_to_fp16=precision == "float16")
    return list(places)


def _with_int8_weights(model: openvino.Model) -> openvino.Model:
    import nncf

    logging.getLogger("nncf").setLevel(logging.WARNING)
    with contextlib.redirect_stdout(sys.stderr):
        return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
