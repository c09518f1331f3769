"""What a flow gains: the same model trained with each flow and without, over several seeds.

    python benchmarks/flow_gain.py --output runs/flow-gain

Trains each preset with each seed for equally many epochs, evaluates the ELBO and the
importance-weighted log-likelihood on the test images, and prints a table of means with the standard
error over seeds. What is done already is not done again, so it can be stopped and resumed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gain import measure, summary

PRESETS = ("digits-vdvae", "digits-vdvae-sylvester", "digits-vdvae-conv-sylvester")
FIGURES = {"elbo": "ELBO", "importance_weighted": "importance-weighted log-likelihood"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/flow-gain"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--importance-samples", type=int, default=100)
    options = parser.parse_args()
    figures: dict[str, list[dict]] = {preset: [] for preset in PRESETS}
    for seed in range(options.seeds):
        settings = {
            "train.seed": seed,
            "train.epochs": options.epochs,
            "train.evaluate_epochs": options.epochs,
            "train.sample_epochs": options.epochs,
        }
        evaluation = ["--importance-samples", str(options.importance_samples)]
        for preset in PRESETS:
            run = options.output / f"{preset}-{seed}"
            figures[preset].append(measure(preset, settings, run, evaluation))
    print(f"{options.epochs} epochs, {options.seeds} seeds, nats of a test image\n")
    print("| preset | " + " | ".join(FIGURES.values()) + " | gap |\n|-|-|-|-|")
    for preset, found in figures.items():
        columns = {key: [row[key] for row in found] for key in FIGURES}
        gaps = [b - a for a, b in zip(*columns.values(), strict=True)]
        cells = " | ".join(summary(values) for values in (*columns.values(), gaps))
        print(f"| `{preset}` | {cells} |")


if __name__ == "__main__":
    main()
