"""How long the first update takes: building, tracing, compiling, and a step after that.

``python benchmarks/first_step.py [--preset openai-cifar10] [--batch 16] [--json]``

Each backend is measured twice in processes of their own: with the weights joined to vectors, as
elementwise optimizers have them, and apart, as the others do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from comparison import configuration, parser
from worker import MARK, memory

#: three scales, four layers: what the tests train
TINY = {
    "model": {
        "resolutions": [8, 4, 1],
        "image_channels": 1,
        "width": 8,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": [1, 1, 0],
        "decoder_blocks": [2, 1, 1],
        "readout": {"width": 8, "middle_width": 4, "blocks": 1},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2, "levels": 17},
    "train": {"optimizer": "adamax", "ema_decay": 0.999, "skip_norm": 0, "batch_size": 4},
}
PARTS = ("build", "trace", "compile", "first", "step")


def measure(config: Any, joined: bool, batch: int, steps: int) -> dict[str, Any]:
    """Seconds of this process's time and of the clock, on the active backend."""
    import keras

    from hvae_core.backends.pieces import InPieces
    from hvae_core.training.objective import Objective
    from hvae_core.training.optimizer import Updater
    from hvae_core.training.step import TrainStep
    from hvae_core.vae import HierarchicalVAE

    seconds: dict[str, list[float]] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        seconds[name] = [time.process_time() - cpu, time.perf_counter() - wall]

    shape = (batch, *config.model.image_shape)
    images = np.random.default_rng(0).integers(0, config.build_likelihood().levels, shape, np.uint8)
    with timed("build"):
        model = HierarchicalVAE(config)
        updater = Updater(config.train, model.trainable_variables, joins=joined)
        step = TrainStep(model, Objective(model), updater, config.train)
    call: Any = step._program._call
    arguments: dict[str, Any] = {"learning_rate": 1e-3, "beta": 1.0}
    backend = keras.config.backend()
    operations = 0
    if isinstance(call, InPieces):
        step._program._call = stages = _Stages(call)
        step(images, step=0, **arguments)
        seconds |= stages.seconds
        operations = stages.operations
    else:
        with timed("first"):
            step.read(step(images, step=0, **arguments))
        if backend == "tensorflow":
            program = call._list_all_concrete_functions()[0]
            operations = len(program.graph.get_operations())
    times = []
    for number in range(1, steps + 1):
        with timed("step"):
            figures = step.read(step(images, step=number, **arguments))
        times.append(seconds["step"])
    seconds["step"] = [float(np.median(column)) for column in zip(*times, strict=True)]
    return {"operations": operations, "seconds": seconds, "loss": figures["loss"],
            "parameters": model.count_params(), "peak": memory()["peak"]}  # fmt: skip


class _Stages:
    """A program in pieces whose first call is taken apart."""

    def __init__(self, program: Any) -> None:
        self._program, self._plan = program, None
        self.seconds: dict[str, list[float]] = {}
        self.operations = 0

    def __call__(self, *args: Any) -> Any:
        import jax

        if self._plan is not None:
            return self._plan(*args)
        times = [(time.process_time(), time.perf_counter())]
        self._plan = self._program.plan(*args)
        times.append((time.process_time(), time.perf_counter()))
        self._plan.compile()
        times.append((time.process_time(), time.perf_counter()))
        result = jax.block_until_ready(self._plan(*args))
        times.append((time.process_time(), time.perf_counter()))
        for index, name in enumerate(("trace", "compile", "first")):
            pair = zip(times[index], times[index + 1], strict=True)
            self.seconds[name] = [end - start for start, end in pair]
        programs = self._plan.programs.values()
        self.operations = sum(str(program.jaxpr).count(" = ") for program in programs)
        return result


def main() -> None:
    """Measure, or start the processes that do."""
    parse = parser(__doc__.splitlines()[0], batch=4, steps=5, rounds=1)
    parse.add_argument("--tiny", action="store_true", help="the model of the tests")
    parse.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parse.add_argument("--weights", nargs="+", default=["joined", "apart"], help="as in a step")
    parse.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parse.parse_args()
    if arguments.measure:
        from hvae_core.backends.selection import select_backend

        select_backend(arguments.backends[0])
        if arguments.tiny:
            from hvae_core.config import Config

            config = Config.model_validate(TINY)
        else:
            config = configuration(arguments)
        found = measure(config, arguments.measure == "joined", arguments.batch, arguments.steps)
        print(MARK + json.dumps(found), flush=True)
        return
    rows = []
    for backend in arguments.backends:
        for weights in arguments.weights:
            command = [sys.executable, *sys.argv, "--backends", backend, "--measure", weights]
            environment = {
                **os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "HVAE_COMPILATION_CACHE": "0",
            }  # fmt: skip
            environment.pop("KERAS_BACKEND", None)
            out = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, check=True
            ).stdout
            line = next(line for line in out.splitlines() if line.startswith(MARK))
            rows.append({"backend": backend, "weights": weights} | json.loads(line[len(MARK) :]))
            if not arguments.json:
                print_row(rows[-1], first=len(rows) == 1)
    if arguments.json:
        print(json.dumps(rows, indent=1))


def print_row(row: dict[str, Any], first: bool) -> None:
    """A line of the table: seconds of the processor, those of the clock in brackets."""
    if first:
        print("| backend | weights | operations | " + " | ".join(PARTS) + " | peak MiB |")
        print("|-" * (len(PARTS) + 4) + "|")
    pairs = [row["seconds"].get(part) for part in PARTS]
    cells = ["" if pair is None else f"{pair[0]:.3g} ({pair[1]:.3g})" for pair in pairs]
    print(
        f"| {row['backend']} | {row['weights']} | {row['operations']} | "
        + " | ".join(cells)
        + f" | {row['peak']:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
