"""A model with convolutional Sylvester flows at every scale, trained on CIFAR-10 in float32.

    python benchmarks/flow_stability.py --root DIR --output runs/flow-stability

Trains 2,000 updates, counts those that were not finite, and prints the KL of each layer on 1,000
test images, averaged over 10 draws of the latents. A layer's KL is a Monte-Carlo estimate, whose
mean must not be negative: it would be if the flow's log-determinant were not its own.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

MODEL = {
    "resolutions": [16, 8, 4, 1],
    "patch_size": 2,
    "width": 32,
    "encoder_middle_width": 16,
    "decoder_middle_width": 16,
    "latent_width": 8,
    "encoder_blocks": 1,
    "decoder_blocks": [1, 2, 1, 1],
    "block_activation": "silu",
    "flow": {"name": "conv-sylvester", "channels": 16, "levels": 2, "context_channels": 2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", help="folder with CIFAR-10; downloaded if unset")
    parser.add_argument("--output", type=Path, default=Path("runs/flow-stability"))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()

    import hvae_core as hvae
    from hvae_core.runs.metrics import MetricsFile

    config = {
        "model": MODEL,
        "likelihood": {"name": "logistic-mixture", "mixtures": 5},
        "data": {"name": "cifar10", "root": options.root},
        "train": {
            "steps": options.steps,
            "batch_size": 16,
            "optimizer": "adamw",
            "learning_rate": 2e-3,
            "warmup_steps": 50,
            # layers that the first updates leave unused would have a KL of 0
            "beta_warmup": 500,
            "ema_decay": 0.99,
            "validation_images": 256,
            "sample_epochs": 0,
            "log_steps": 100,
        },
    }
    hvae.train(config, options.output, resume=True)
    records = MetricsFile(options.output / "metrics.jsonl").read()
    windows = [record for record in records if record["event"] == "step"]
    model = hvae.load(options.output)
    draws = []
    for seed in range(options.draws):
        figures = hvae.evaluate(model, split="test", seed=seed, limit=options.images)
        draws.append(figures["kl_per_layer"])
    means, errors = np.mean(draws, 0), np.std(draws, 0, ddof=1) / math.sqrt(len(draws))
    wrong, skipped = (sum(w[key] for w in windows) for key in ("nonfinite", "skipped"))
    print(f"{options.steps} updates, {wrong} of them not finite, {skipped} skipped")
    print(f"\nKL in nats of {options.images} test images, mean of {options.draws} draws\n")
    print("| layer | latent | KL | standard error |\n|-|-|-|-|")
    shapes = ["x".join(map(str, shape)) for shape in model.latent_shapes]
    for index, (shape, mean, error) in enumerate(zip(shapes, means, errors, strict=True)):
        print(f"| {index} | {shape} | {mean:.3f} | {error:.3f} |")


if __name__ == "__main__":
    main()
