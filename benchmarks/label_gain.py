"""What labels gain: the same model trained with them and without, over several seeds.

    python benchmarks/label_gain.py --output runs/label-gain

Trains `digits-vdvae` with each seed for equally many epochs, unconditional and conditional on the
label, evaluates the bounds on log p(x) and log p(x | label) on the test images, and prints a table
of means with the standard error over seeds. What is done already is not done again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gain import measure, summary

LABEL = {"name": "label", "classes": 10}
MODELS = {
    "without": {},
    "with": {"model.condition": LABEL, "model.conditioning.entry": "film"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/label-gain"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in MODELS}
    for seed in range(options.seeds):
        for name, changes in MODELS.items():
            settings = {
                **changes,
                "train.seed": seed,
                "train.epochs": options.epochs,
                "train.evaluate_epochs": options.epochs,
                "train.sample_epochs": 0,
                "train.report": False,
            }
            figures = measure("digits-vdvae", settings, options.output / f"{name}-{seed}")
            found[name].append(figures["elbo"])
    gains = [b - a for a, b in zip(found["without"], found["with"], strict=True)]
    print(f"{options.epochs} epochs, {options.seeds} seeds, ELBO in nats of a test image\n")
    print("| without labels | with labels | gain |\n|-|-|-|")
    print(f"| {' | '.join(summary(values) for values in (*found.values(), gains))} |")


if __name__ == "__main__":
    main()
