"""An ONNX file as a function of named arrays. No Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from hvae_core.errors import BadInputError

_DTYPES = {"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8}


class OnnxFile:
    """A graph of an export folder.

    Args:
        path: the .onnx file.

    Raises:
        BadInputError: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of its own for each cause
            raise BadInputError(
                f"onnxruntime cannot read {path}.", "Export the model again, with this onnxruntime."
            ) from error
        self._options = onnxruntime.RunOptions()
        # else it computes the whole graph for any output
        self._options.only_execute_path_to_fetches = True

    def __call__(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> list[np.ndarray]:
        """The outputs of these names; inputs that they do not need may be left out."""
        ports = self._session.get_inputs()
        batched = [port.name for port in ports if not isinstance(port.shape[0], int)]
        rows = next(len(inputs[name]) for name in batched if name in inputs)
        feed = dict(inputs)
        for port in ports:
            if port.name not in feed:
                # onnxruntime wants them all, though nothing is computed of it.
                dtype = _DTYPES[port.type]
                feed[port.name] = np.full((rows, *port.shape[1:]), 0.5).astype(dtype)
        return self._session.run(list(outputs), feed, self._options)
