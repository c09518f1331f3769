"""What attention, consistency regularization and flows gain, alone and together.

    python benchmarks/component_gain.py --output runs/component-gain --cifar10 DIR

Trains a small model of the digits and one of 5,000 images of CIFAR-10, each with every variant and
seed for equally many updates, and prints the test images' ELBO with its standard error over seeds,
and training's speed and memory. What is done already is not done again.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from gain import measure, summary

VARIANTS = {
    "base": {},
    "attention": {"model.attention": "davi"},
    "consistency": {"regularizer": "cr-vae"},
    "flows": {
        "model.flow": {
            "name": "sylvester",
            "flows": 4,
            "orthogonal_vectors": 8,
            "context_channels": 4,
        }
    },
}
VARIANTS["all"] = {key: value for changes in VARIANTS.values() for key, value in changes.items()}
#: scales with flows, finest first: the heads of a fine scale's flow would be most of the weights
FLOW_SCALES = {"digits": [False, True, True], "cifar10": [False, False, True, True]}
#: one width at all scales, as attention needs
CIFAR10 = {
    "model.resolutions": [16, 8, 4, 1],
    "model.patch_size": 2,
    "model.image_channels": 3,
    "model.width": 48,
    "model.encoder_middle_width": 24,
    "model.decoder_middle_width": 24,
    "model.latent_width": 8,
    "model.encoder_blocks": [1, 2, 2, 1],
    "model.decoder_blocks": [2, 3, 2, 1],
    "likelihood.levels": 256,
    "data.name": "cifar10",
    "train.batch_size": 16,
    # the rest of the training images are held out
    "train.validation_fraction": 0.9,
    "train.validation_images": 256,
}


def settings_of(data: str, changes: dict, steps: int, seed: int, root: str | None) -> dict:
    """The overrides of one run of the preset ``digits-vdvae``."""
    settings = {"train.epochs": None, "train.steps": steps, "train.seed": seed}
    settings |= {"train.evaluate_epochs": 10**6, "train.sample_epochs": 0}
    if data == "cifar10":
        settings |= {key: value for key, value in CIFAR10.items() if key != "data.name"}
        settings["data"] = {"name": "cifar10", **({"root": root} if root else {})}
    settings |= changes
    if "model.flow" in settings:
        settings["model.flow"] = {**settings["model.flow"], "scales": FLOW_SCALES[data]}
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/component-gain"))
    parser.add_argument("--cifar10", help="folder with CIFAR-10; downloaded if unset")
    parser.add_argument("--data", nargs="+", default=["digits", "cifar10"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    for data in options.data:
        limit = ["--limit", "500"] if data == "cifar10" else []
        figures: dict[str, list[dict]] = {name: [] for name in VARIANTS}
        for seed in range(options.seeds):
            for name, changes in VARIANTS.items():
                settings = settings_of(data, changes, options.steps, seed, options.cifar10)
                run = options.output / f"{data}-{name}-{seed}"
                figures[name].append(measure("digits-vdvae", settings, run, limit))
        print(f"{data}: {options.steps} updates, {options.seeds} seeds\n")
        print("| variant | ELBO, nats | bits/dim | images/s | memory, MiB |\n|-|-|-|-|-|")
        for name, found in figures.items():
            rows = {key: [row[key] for row in found] for key in ("elbo", "bits_per_dim")}
            used = [
                f"{statistics.median(row[key] for row in found):.0f}"
                for key in ("images_per_second", "memory")
            ]
            bits = f"{statistics.fmean(rows['bits_per_dim']):.3f}"
            print(f"| {name} | {summary(rows['elbo'])} | {bits} | {' | '.join(used)} |")
        print()


if __name__ == "__main__":
    main()
