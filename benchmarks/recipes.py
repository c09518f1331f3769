"""Which recipe gives the best model for the same processor time.

    python benchmarks/recipes.py benchmarks/recipes.yaml --seconds 600 --jobs 2 \
        --set data.root=DIR --results recipes.jsonl

Every recipe of the file is trained on one thread for so many seconds of its process's CPU time:
unlike the time on the clock, they mean nearly the same on a machine that is shared with other work.
A first, short training tells the time of an update and so the number of updates; then a fresh model
is trained for them by a cosine schedule. Its averaged weights are evaluated on held-out training
images, never on test images. Results are added to a file; what stands there is not done again.

The file holds ``base``, a preset; ``common``, overrides by dotted key for all recipes; and
``recipes``, overrides by name. A recipe's key ``from`` names another recipe that it starts from.
What a recipe says of its schedule or its averages goes before what the comparison sets.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import yaml

import hvae
from hvae_core.training.callbacks import Callback, Run

#: updates of the first, short training, and how many of them are passed over
TIMED, UNTIMED = 25, 5
#: the averaged weights reach back over this part of the updates
AVERAGED = 0.05
#: what the comparison sets itself
FIXED = {
    "train.epochs": None,
    "train.warmup_epochs": None,
    "train.evaluate_epochs": 10**6,
    "train.sample_epochs": 0,
    "train.tensorboard": False,
    "train.report": False,
    "train.checkpoint_steps": 10**9,
    "train.checkpoint_minutes": 10**6,
    "train.keep_checkpoints": 1,
}
COLUMNS = {
    "name": "recipe",
    "bits_per_dim": "bits/dim",
    "updates": "updates",
    "images": "images",
    "images_per_second": "images/s",
    "parameters": "parameters",
    "seconds": "CPU s",
}


class Clock(Callback):
    """Notes the CPU time of this process after each update."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.parameters = self.batch_size = 0

    def start(self, run: Run) -> None:
        """See `Callback.start`."""
        self.parameters = run.model.count_params()
        self.batch_size = run.config.train.batch_size

    def update(self, run: Run, figures: Mapping[str, Any]) -> None:
        """See `Callback.update`."""
        self.times.append(time.process_time())

    def seconds_per_update(self, first: int = 0) -> float:
        """The median CPU time of an update after the ``first`` ones."""
        times = self.times[first:]
        return statistics.median(b - a for a, b in itertools.pairwise(times))


def read_recipes(path: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """The base preset, and each recipe's overrides with all that it starts from."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    recipes = content["recipes"]

    def overrides(name: str) -> dict[str, Any]:
        own = dict(recipes[name] or {})
        start = own.pop("from", None)
        return {**(overrides(start) if start else content.get("common") or {}), **own}

    return content["base"], {name: overrides(name) for name in recipes}


def as_overrides(settings: Mapping[str, Any]) -> list[str]:
    """Settings as ``--set`` takes them."""
    return [f"{key}={json.dumps(value)}" for key, value in settings.items()]


def measure(
    base: str, settings: Mapping[str, Any], extra: Sequence[str], seconds: float, images: int
) -> dict[str, Any]:
    """Train a recipe for so many seconds of CPU time and evaluate it.

    Args:
        base: the preset that is changed.
        settings: the recipe's overrides.
        extra: further overrides, as ``--set`` takes them.
        seconds: CPU time of the training.
        images: held-out images to evaluate on.
    """

    def run(updates: int, warmup: int, decay: float, clock: Clock, held_out: int) -> Any:
        defaults = {
            "train.schedule": "cosine",
            "train.warmup_steps": warmup,
            "train.ema_decay": decay,
        }
        fixed = {**FIXED, "train.steps": updates, "train.validation_images": held_out}
        with tempfile.TemporaryDirectory() as folder:
            return hvae.train(
                base,
                Path(folder) / "run",
                overrides=[*as_overrides({**defaults, **settings, **fixed}), *extra],
                callbacks=[clock],
            )

    trial = Clock()
    run(TIMED, 0, 0.9, trial, 1)  # this one is only timed
    updates = max(TIMED, round(seconds / trial.seconds_per_update(UNTIMED)))
    clock = Clock()
    decay = max(0.0, 1.0 - 1.0 / (AVERAGED * updates))
    result = run(updates, min(200, updates // 10), decay, clock, images)
    used = clock.times[-1] - clock.times[0] + clock.seconds_per_update()
    seen = result.steps * clock.batch_size
    return {
        "bits_per_dim": result.metrics["bits_per_dim"],
        "kl_per_layer": result.metrics["kl_per_layer"],
        "updates": result.steps,
        "images": seen,
        "images_per_second": seen / used,
        "parameters": clock.parameters,
        "seconds": used,
    }


def read_results(path: Path) -> Iterator[dict[str, Any]]:
    """The results in a file of JSON lines; none if there is no such file."""
    if path.is_file():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def in_own_process(
    options: argparse.Namespace, base: str, name: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """`measure` in a process with one thread; what failed has a key ``error`` instead."""
    task = [base, settings, options.set, options.seconds, options.images]
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, __file__, str(options.recipes), "--worker"],
        env={**os.environ, **single},
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
    )
    record = {"name": name, "budget": options.seconds, "settings": dict(settings)}
    if done.returncode:
        return {**record, "error": done.stderr.strip()[-1000:]}
    return {**record, **json.loads(done.stdout.splitlines()[-1])}


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results, best first, as a Markdown table."""
    ordered = sorted(results, key=lambda r: (r["budget"], r.get("bits_per_dim", float("inf"))))
    lines = [f"| {' | '.join(COLUMNS.values())} |", "|-" * len(COLUMNS) + "|"]
    for result in ordered:
        if "error" in result:
            reason = result["error"].splitlines()[-1] if result["error"] else "failed"
            lines.append(f"| {result['name']} | failed: {reason} |" + " |" * (len(COLUMNS) - 2))
            continue
        values = [
            result["name"],
            f"{result['bits_per_dim']:.3f}",
            f"{result['updates']:,}",
            f"{result['images']:,}",
            f"{result['images_per_second']:.1f}",
            f"{result['parameters']:,}",
            f"{result['seconds']:.0f}",
        ]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", type=Path, help="a YAML file, see above")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these recipes alone")
    parser.add_argument("--seconds", type=float, default=600, help="of CPU time, each")
    parser.add_argument("--images", type=int, default=500, help="held out, to evaluate on")
    parser.add_argument("--jobs", type=int, default=1, help="recipes at the same time")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--results", type=Path, default=Path("recipes.jsonl"))
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(*json.load(sys.stdin))))
        return
    base, recipes = read_recipes(options.recipes)
    names = options.only or list(recipes)
    if unknown := set(names) - set(recipes):
        parser.error(f"no recipe is called {', '.join(sorted(unknown))}")
    wanted = {name: recipes[name] for name in names}
    found = {
        result["name"]: result
        for result in read_results(options.results)
        if result["budget"] == options.seconds
        and result["settings"] == wanted.get(result["name"])
        and "error" not in result
    }
    missing = {name: settings for name, settings in wanted.items() if name not in found}
    with ThreadPoolExecutor(options.jobs) as pool:
        tasks = [pool.submit(in_own_process, options, base, *item) for item in missing.items()]
        for task in as_completed(tasks):
            result = task.result()
            found[result["name"]] = result
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            state = result.get("error") or f"{result['bits_per_dim']:.3f} bits/dim"
            print(f"{result['name']}: {state}", file=sys.stderr, flush=True)
    results = list(found.values())
    print(json.dumps(results, indent=2) if options.json else table(results))


if __name__ == "__main__":
    main()
