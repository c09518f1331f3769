"""Storing a model's weights in 8 bits, in a process of its own.

nncf loads PyTorch where it is installed and changes the process's logging, and a process that had
run it beside a training backend was once seen to end on SIGTERM with a segmentation fault. So
nothing else runs beside it.

    python -m hvae_plugins.exporters.openvino.int8 model.xml smaller.xml
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import openvino

from hvae_core.errors import HvaeError


def with_int8_weights(model: openvino.Model) -> openvino.Model:
    """The model with its weights stored as int8: symmetric, a scale for each output channel.

    Raises:
        HvaeError: nncf cannot do it.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.xml", Path(folder) / "made.xml"
        openvino.save_model(model, given, compress_to_fp16=False)
        # -P: no module of the current folder is taken for one of theirs.
        command = [sys.executable, "-P", "-m", __name__, str(given), str(made)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode or not made.is_file():
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise HvaeError(
                f"nncf could not store the weights as int8: {last.rstrip('.')}.",
                "Export with --precision float16, or install another version of nncf.",
            )
        # From memory, so that the files can go.
        return openvino.Core().read_model(made.read_bytes(), made.with_suffix(".bin").read_bytes())


def main(given: str, made: str) -> None:
    """Read a model from a file, and write it with smaller weights to another."""
    import nncf

    model = openvino.Core().read_model(given)
    smaller = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(smaller, made, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
