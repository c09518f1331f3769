"""What a flow gains: the same model trained with each flow and without, over several seeds.

    python benchmarks/flow_gain.py --output runs/flow-gain

Trains each preset with each seed for equally many epochs, evaluates the ELBO and the
importance-weighted log-likelihood on the test images, and prints a table of means with the standard
error over seeds. What is done already is not done again, so it can be stopped and gone on with.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
from pathlib import Path

PRESETS = ("digits-vdvae", "digits-vdvae-sylvester", "digits-vdvae-conv-sylvester")
FIGURES = {"elbo": "ELBO", "importance_weighted": "importance-weighted log-likelihood"}


def hvae(*arguments: str) -> str:
    command = ["hvae", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(preset: str, seed: int, epochs: int, samples: int, folder: Path) -> dict:
    """The figures of one run, which is trained first unless its figures are there."""
    run = folder / f"{preset}-{seed}"
    found = run / "figures.json"
    if not found.is_file():
        settings = {
            "train.seed": seed,
            "train.epochs": epochs,
            "train.evaluate_epochs": epochs,
            "train.sample_epochs": epochs,
        }
        changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        resume = ["--resume"] if (run / "checkpoints").is_dir() else []
        hvae("train", preset, *changes, "--output", str(run), *resume)
        found.write_text(hvae("evaluate", str(run), "--json", "--importance-samples", str(samples)))
    return json.loads(found.read_text())


def summary(values: list[float]) -> str:
    """Mean and standard error."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.2f}"
    return f"{mean:.2f} ± {statistics.stdev(values) / math.sqrt(len(values)):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/flow-gain"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--importance-samples", type=int, default=100)
    options = parser.parse_args()
    figures: dict[str, list[dict]] = {preset: [] for preset in PRESETS}
    for seed in range(options.seeds):
        for preset in PRESETS:
            figures[preset].append(
                measure(preset, seed, options.epochs, options.importance_samples, options.output)
            )
    print(f"{options.epochs} epochs, {options.seeds} seeds, nats of a test image\n")
    print("| preset | " + " | ".join(FIGURES.values()) + " | gap |\n|-|-|-|-|")
    for preset, found in figures.items():
        columns = {key: [row[key] for row in found] for key in FIGURES}
        gaps = [b - a for a, b in zip(*columns.values(), strict=True)]
        cells = " | ".join(summary(values) for values in (*columns.values(), gaps))
        print(f"| `{preset}` | {cells} |")


if __name__ == "__main__":
    main()
