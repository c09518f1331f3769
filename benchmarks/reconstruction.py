"""What it costs that a reconstruction from all latents has the bits of ``decode(encode(x))``.

``python benchmarks/reconstruction.py [--preset NAME] [--backends torch openvino jax]``. One pass
through the hierarchy can give the latents and the image. `reconstruct` makes that pass where
operations run one by one, and runs the programs of `encode` and `decode` where they are compiled,
as a compiler may round one program in another way. Processor time of one thread, the two in turn in
one process, the least of the rounds; noise and pixels included. Last: how many of the likelihood's
parameters differ between the two.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from comparison import print_table
from worker import MARK, answer

from hvae_core.inference.encoding import OUTPUTS
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import latent_noise, pixel_noise

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def work(preset: str, batch: int, steps: int, rounds: int) -> None:
    """Measure on the active backend."""
    import hvae

    model = hvae.load(preset)
    images = model.sample(batch, seed=1, batch_size=batch)
    rows = np.arange(batch)

    def one_pass() -> np.ndarray:
        inputs = {
            "images": images,
            "noise": latent_noise(model, rows, 0),
            "pixels": pixel_noise(model, rows, 0),
        }
        return model.run(Infer(("reconstruction",)), inputs)["reconstruction"]

    def two_programs() -> np.ndarray:
        return model.decode(model.encode(images, batch_size=batch), batch_size=batch)

    def reconstruct() -> np.ndarray:
        return model.reconstruct(images, batch_size=batch)

    ways = (one_pass, two_programs, reconstruct)
    drawn = [way() for way in ways]
    least = [float("inf")] * len(ways)
    for _ in range(rounds):
        for place, way in enumerate(ways):
            start = time.process_time()
            for _ in range(steps):
                way()
            least[place] = min(least[place], (time.process_time() - start) / steps)
    assert np.array_equal(drawn[1], drawn[2])
    answer(seconds=least, differ=differing(model, images))


def differing(model: Any, images: np.ndarray) -> float:
    """The share of the likelihood's parameters that one pass and two programs round otherwise."""
    rows = np.arange(len(images))
    noise = latent_noise(model, rows, 0)
    latents = model.run(Infer(OUTPUTS, len(noise)), {"images": images, "noise": noise})["latent"]
    given = {"noise": latents, "given": np.ones(len(noise), np.float32)}
    one = model.run(_Parameters(True), {"images": images, "noise": noise})["parameters"]
    two = model.run(_Parameters(False), given)["parameters"]
    return float((one != two).mean())


@dataclasses.dataclass(frozen=True)
class _Parameters:
    """A program of the likelihood's parameters: from images, or from latents."""

    from_images: bool

    def compute(self, network: Any, inputs: Any) -> dict[str, Any]:
        noise = list(inputs["noise"])
        if self.from_images:
            return {"parameters": network.infer(inputs["images"], noise).parameters}
        return {"parameters": network.generate(noise, 1.0, are_given=inputs["given"])}


def main() -> None:
    """Measure each backend in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="mnist-vdvae")
    parser.add_argument("--backends", nargs="+", default=["torch", "openvino", "jax"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    numbers = [str(number) for number in (options.batch, options.steps, options.rounds)]
    rows = []
    for backend in options.backends:
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment |= dict.fromkeys(THREADS, "1")
        # XLA has no option for its threads: the process is given one core.
        command = [sys.executable, __file__, "--work", options.preset, *numbers]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        line = next(line for line in done.stdout.splitlines() if line.startswith(MARK))
        found = json.loads(line.removeprefix(MARK))
        one, two, ours = (1e3 * seconds for seconds in found["seconds"])
        ratios = [f"{two / one:.2f}", f"{ours / one:.2f}"]
        rows.append([backend, f"{one:.1f}", *ratios, f"{100 * found['differ']:.0f} %"])
    head = ["", "one pass, ms", "`decode(encode(x))`", "`reconstruct(x)`", "otherwise rounded"]
    print_table(head, rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        work(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        main()
