"""An ONNX file as a function of named arrays. No Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime


class OnnxFile:
    """A graph of an export folder.

    Args:
        path: the .onnx file.
    """

    def __init__(self, path: Path) -> None:
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def __call__(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> list[np.ndarray]:
        """The outputs of these names; inputs that they do not need may be left out."""
        rows = max(len(array) for array in inputs.values())
        feed = dict(inputs)
        for port in self._session.get_inputs():
            if port.name not in feed:
                # onnxruntime wants them all; what is computed of it is thrown away.
                feed[port.name] = np.full((rows, *port.shape[1:]), 0.5, np.float32)
        return self._session.run(list(outputs), feed)
