"""What a top prior gains: the same model with and without, equally many updates, several seeds.

    python benchmarks/prior_gain.py --output runs/prior-gain --cifar10 DIR

Trains a small model of the digits and one of 5,000 images of CIFAR-10 with each prior and seed, and
prints the test images' ELBO and importance-weighted log-likelihood with their standard errors over
seeds, the first layer's KL, which is that of the context where there is a prior, and training's
speed. What is done already is not done again.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path

from component_gain import settings_of
from gain import measure, summary

#: of the digits' 8 frequencies half, so that the context is not nearly the image
SIZES = {"digits": 4, "cifar10": 7}
FIGURES = {"elbo": "ELBO, nats", "importance_weighted": "importance-weighted, nats"}
PUBLISHED = "the same, `prediction: noise`"
LABELLED = "the same, under the labels"


def variants(data: str) -> dict[str, dict]:
    """The changes of each variant."""
    chosen = {"name": "diffusion-vampprior", "size": SIZES[data]}
    return {
        "none": {},
        "`diffusion-vampprior`": {"model.prior": chosen},
        PUBLISHED: {"model.prior": {**chosen, "prediction": "noise"}},
        LABELLED: {"model.prior": chosen, "model.condition": {"name": "label", "classes": 10}},
    }


def table(figures: dict[str, list[dict]]) -> Iterator[str]:
    """A row a variant that has runs."""
    named = [*FIGURES.values(), "KL of the first layer, nats", "bits/dim", "images/s"]
    yield f"| prior | {' | '.join(named)} |\n|{'-|' * (len(named) + 1)}"
    for name, found in figures.items():
        if found:
            cells = [summary([row[key] for row in found]) for key in FIGURES]
            cells.append(summary([row["kl_per_layer"][0] for row in found]))
            cells.append(f"{statistics.fmean(row['bits_per_dim'] for row in found):.3f}")
            cells.append(f"{statistics.median(row['images_per_second'] for row in found):.0f}")
            yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/prior-gain"))
    parser.add_argument("--cifar10", help="folder with CIFAR-10; downloaded if unset")
    parser.add_argument("--data", nargs="+", default=["digits", "cifar10"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--images", type=int, default=128, help="of the test split")
    parser.add_argument("--importance-samples", type=int, default=20)
    parser.add_argument("--published", action="store_true", help="with `prediction: noise` too")
    parser.add_argument("--labels", action="store_true", help="with the label as condition too")
    options = parser.parse_args()
    evaluation = ["--limit", str(options.images)]
    evaluation += ["--importance-samples", str(options.importance_samples)]
    for data in options.data:
        left_out = {PUBLISHED: not options.published, LABELLED: not options.labels}
        chosen = {n: c for n, c in variants(data).items() if not left_out.get(n)}
        figures: dict[str, list[dict]] = {name: [] for name in chosen}
        for seed in range(options.seeds):
            for place, (name, changes) in enumerate(chosen.items()):
                settings = settings_of(data, changes, options.steps, seed, options.cifar10)
                settings |= {"train.report": False, "train.log_steps": 25}
                run = options.output / f"{data}-{place}-{seed}"
                figures[name].append(measure("digits-vdvae", settings, run, evaluation))
        print(f"{data}: {options.steps} updates, {options.seeds} seeds\n")
        print("\n".join(table(figures)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
