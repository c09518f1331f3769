"""Running OpenVINO models. No Keras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino

#: float32 throughout: OpenVINO may else choose a smaller type where the processor has one
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}


class Program:
    """A model of fixed shapes, compiled.

    Args:
        model: the model; left as it is.
        streams: how many calls run at a time, each on its share of the cores. One stream answers
            a call soonest; as many as there are cores do most in an hour.
        cache: a folder for what was compiled, where another process finds it.
    """

    def __init__(self, model: openvino.Model, streams: int = 1, cache: Path | None = None) -> None:
        options: dict[str, object] = {**PRECISION, "NUM_STREAMS": str(streams)}
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)
            options["CACHE_DIR"] = str(cache)
        compiled = openvino.Core().compile_model(model, "CPU", options)
        self._requests = [compiled.create_infer_request() for _ in range(streams)]

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs, in the model's order, for inputs in the model's order."""
        return self.map([inputs])[0]

    def map(self, calls: Sequence[Sequence[np.ndarray]]) -> list[list[np.ndarray]]:
        """The outputs of at most as many calls as there are streams, which run side by side."""
        requests = self._requests[: len(calls)]
        # The arrays must live until their request is done: they are not copied.
        held = [[np.asarray(array, order="C") for array in inputs] for inputs in calls]
        for request, arrays in zip(requests, held, strict=True):
            request.start_async(dict(enumerate(arrays)), share_inputs=True)
        for request in requests:
            request.wait()
        return [
            [np.array(tensor.data) for tensor in request.output_tensors] for request in requests
        ]
