"""Importance-weighted evaluation: the encoder once for all draws, against once for each.

``python benchmarks/importance.py [--preset NAME] [--images 32] [--draws 20] [--json]``. Both ways
in turn in one process on the active backend, noise included: processor and wall time of one thread,
the median of the rounds' ratios and their range; and by how much the figures differ.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hvae_core.evaluation import log_likelihood
from hvae_core.evaluation.verbs import Verbs


class EncoderEachTime(Verbs):
    """A model that does not run the programs that begin with the encoder's features."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def gives(self, program: Any) -> bool:
        """See `Engine.gives`."""
        return not program.from_features

    def run(self, program: Any, inputs: Any) -> dict[str, Any]:
        """See `Engine.run`."""
        return self.model.run(program, inputs)


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float, float]:
    """What it gives, its processor and its wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="cifar10-vdvae-small")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    import hvae

    model = hvae.load(options.preset)
    images = model.sample(options.images, seed=1)
    engines = {"each draw": EncoderEachTime(model), "once": model}

    def evaluate(name: str, draws: int) -> np.ndarray:
        return log_likelihood(engines[name], images, draws, batch_size=options.batch)

    for name in engines:  # compiles
        evaluate(name, max(2, options.batch // options.images))
    rounds = [
        {name: timed(lambda name=name: evaluate(name, options.draws)) for name in engines}
        for _ in range(options.rounds)
    ]
    ratios = {
        clock: sorted(r["each draw"][place] / r["once"][place] for r in rounds)
        for place, clock in ((1, "cpu"), (2, "wall"))
    }
    last = rounds[-1]
    report = {
        "preset": options.preset,
        "images": options.images,
        "draws": options.draws,
        "cpu_seconds": {name: statistics.median(r[name][1] for r in rounds) for name in engines},
        "ratio": {
            clock: {"median": statistics.median(found), "range": [found[0], found[-1]]}
            for clock, found in ratios.items()
        },
        "largest_difference": float(np.abs(last["once"][0] - last["each draw"][0]).max()),
    }
    if options.json:
        print(json.dumps(report))
        return
    print(f"{options.preset}, {options.images} images, {options.draws} draws, each draw to once:")
    for clock, found in report["ratio"].items():
        low, high = found["range"]
        print(f"{clock} {found['median']:.2f} ({low:.2f} to {high:.2f})")
    print(f"largest difference {report['largest_difference']:.2g} nats")


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        if variable not in os.environ:
            os.environ[variable] = "1"
            os.execv(sys.executable, [sys.executable, *sys.argv])
    main()
