"""An OpenVINO file as a function of named arrays, compiled for the batch it is given. No Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import openvino

from hvae_core.backends.openvino.running import Program
from hvae_core.errors import BadInputError
from hvae_core.files.places import cache_folder
from hvae_core.files.threads import cores


class GraphFile:
    """A graph of an export folder.

    A program of fixed shapes is compiled for each choice of outputs and size of batch: it is
    faster than one for any size, and leaves out what only the other outputs need.

    Args:
        path: the .xml file; its first axis is the batch where its size is open.
        mode: ``latency``: a batch has all cores; ``throughput``: it is divided among them.
        cache: keep what was compiled in ``HVAE_HOME``.

    Raises:
        BadInputError: the file is damaged.
    """

    def __init__(self, path: Path, mode: str = "latency", cache: bool = True) -> None:
        try:
            self._model = openvino.Core().read_model(path)
        except RuntimeError as error:
            raise BadInputError(
                f"OpenVINO cannot read {path}.", "Export the model again, with this OpenVINO."
            ) from error
        self._streams = cores() if mode == "throughput" else 1
        self._cache = cache_folder() / "compiled" if cache else None
        self._batched = {
            port.any_name for port in self._model.inputs if port.get_partial_shape()[0].is_dynamic
        }
        self._programs: dict[tuple[tuple[str, ...], int, int], tuple[Program, list[str]]] = {}

    def __call__(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> list[np.ndarray]:
        """The outputs of these names, for the inputs they need."""
        rows = next(len(array) for name, array in inputs.items() if name in self._batched)
        # Shares of one size, so that one program does for all.
        streams = min(self._streams, rows)
        share = -(-rows // streams)
        starts = [min(start, rows - share) for start in range(0, rows, share)]
        program, names = self._program(tuple(outputs), share, len(starts))
        parts = program.map(
            [
                [
                    inputs[name][start : start + share] if name in self._batched else inputs[name]
                    for name in names
                ]
                for start in starts
            ]
        )
        if len(parts) == 1:
            return parts[0]
        # The last share may begin before the one before it ends.
        overlap = len(starts) * share - rows
        parts[-1] = [array[overlap:] for array in parts[-1]]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _program(
        self, outputs: tuple[str, ...], rows: int, streams: int
    ) -> tuple[Program, list[str]]:
        """The program for ``rows`` rows in each stream, and the names of its inputs in order."""
        key = (outputs, rows, streams)
        if key not in self._programs:
            model = part(self._model, outputs)
            names = [port.any_name for port in model.inputs]
            model.reshape(
                {
                    port: [rows, *list(port.get_partial_shape())[1:]]
                    for port in model.inputs
                    if port.any_name in self._batched
                }
            )
            self._programs[key] = Program(model, streams, self._cache), names
        return self._programs[key]


def part(model: openvino.Model, outputs: Sequence[str]) -> openvino.Model:
    """A copy of what of ``model`` these outputs need."""
    whole = model.clone()
    results = [whole.output(name).get_node() for name in outputs]
    needed, pending = set(), list(results)
    while pending:
        node = pending.pop()
        if node.get_friendly_name() not in needed:
            needed.add(node.get_friendly_name())
            pending += [value.get_node() for value in node.input_values()]
    parameters = [p for p in whole.get_parameters() if p.get_friendly_name() in needed]
    return openvino.Model(results, parameters, model.get_friendly_name())
