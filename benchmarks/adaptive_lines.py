"""Which line to measure next: by information gain, at random, at equal distances.

    python benchmarks/adaptive_lines.py --work runs/adaptive --output docs/images

Trains an encoder of one to six of the eight columns of the digits on the frozen `digits-vdvae`
(minutes), completes test images from one line, two lines, ..., and draws the PSNR of the draws'
mean, over the whole image with the measured pixels put back, by the number of lines. All begin with
the column in the middle. Adaptive: the column with the largest `information_gain`, the greedy
entropy of Penninga et al. 2025. A run that is there is not trained again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import hvae
from hvae_core.evaluation.image_metrics import psnr

START = "digits-vdvae"
COLUMNS, MOST, FIRST = 8, 6, 4
#: how a way is drawn: its line and marker
WAYS = {"information gain": "o-", "equispaced": "s--", "random": "^:"}


def train(folder: Path, updates: int) -> None:
    """The run, unless it is there."""
    if (folder / "checkpoints").is_dir():
        return
    overrides = {
        "measurement": {"name": "columns", "known": MOST, "least": 1, "fill": 0},
        "model.input_channels": 2,
        "train.objective": "partial-posterior",
        "train.steps": updates,
        "train.epochs": None,
        "train.learning_rate": 0.002,
        "train.sample_epochs": 0,
        "train.report": False,
        "train.tensorboard": False,
    }
    hvae.train(START, folder, overrides=overrides, weights=START)


def masks_of(lines: np.ndarray) -> np.ndarray:
    """Known lines [B, 8] as masks [B, 8, 8]."""
    return np.repeat(lines[:, None, :], COLUMNS, axis=1)


def next_lines(
    way: str, model: hvae.HierarchicalVAE, truth: np.ndarray, lines: np.ndarray, seed: int
) -> np.ndarray:
    """Known lines [B, 8] with one more of each image."""
    count = int(lines[0].sum()) + 1
    if way == "equispaced":
        chosen = np.zeros_like(lines)
        chosen[:, ((np.arange(count) + 0.5) * COLUMNS / count).astype(int)] = True
        return chosen
    if way == "random":
        score = np.random.default_rng((seed, count)).random(lines.shape)
    else:
        mask = masks_of(lines)
        y = np.where(mask[..., None], truth, np.uint8(0))
        score = model.information_gain(y, mask, np.arange(COLUMNS), n=32, seed=seed)
    best = np.where(lines, -1.0, score).argmax(axis=1)
    more = lines.copy()
    more[np.arange(len(more)), best] = True
    return more


def curve(
    way: str, model: hvae.HierarchicalVAE, truth: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """PSNR in dB of each image [MOST, B], by the number of lines."""
    lines = np.zeros((len(truth), COLUMNS), bool)
    lines[:, FIRST] = True
    found = []
    for count in range(1, MOST + 1):
        if count > 1:
            lines = next_lines(way, model, truth, lines, seed)
        mask = masks_of(lines)
        y = np.where(mask[..., None], truth, np.uint8(0))
        drawn = model.posterior_sample(y, mask, draws, seed=seed + 100, keep_known=True)
        found.append(psnr(drawn.mean, truth, model.image_values))
    return np.stack(found)


def decibels(of_images: np.ndarray) -> np.ndarray:
    """The PSNR of the mean squared error of images [..., B], some of which may be exact."""
    return -10.0 * np.log10(np.mean(10.0 ** (-of_images / 10.0), axis=-1))


def resampled(of_images: np.ndarray) -> np.ndarray:
    """`decibels` of a thousand samples of as many images, for standard errors."""
    count = of_images.shape[-1]
    return decibels(of_images[..., np.random.default_rng(0).integers(0, count, (1000, count))])


def plot(curves: dict[str, np.ndarray], path: Path) -> None:
    """PSNR with the standard error over images."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.4), dpi=150)
    for way, of_images in curves.items():
        axes.errorbar(
            np.arange(1, MOST + 1), decibels(of_images), resampled(of_images).std(axis=-1),
            fmt=WAYS[way], ms=4, capsize=2, label=way,
        )  # fmt: skip
    axes.set_xticks(range(1, MOST + 1))
    axes.set(xlabel="measured columns of 8", ylabel="PSNR of the draws' mean (dB)")
    axes.legend(title="the next column by", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)


def table(curves: dict[str, np.ndarray]) -> str:
    """The same in numbers, and what the information gain gains, with its standard error."""
    lines = ["| lines | " + " | ".join(WAYS) + " | gain over random |", "|-|-|-|-|-|"]
    for count in range(MOST):
        found = {way: of_images[count] for way, of_images in curves.items()}
        cells = " | ".join(f"{decibels(found[way]):.2f}" for way in WAYS)
        one, other = found["information gain"], found["random"]
        error = (resampled(one) - resampled(other)).std()
        gain = decibels(one) - decibels(other)
        lines.append(f"| {count + 1} | {cells} | {gain:.2f} ± {error:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Train, measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the run")
    parser.add_argument("--output", type=Path, default=Path(), help="folder of the picture")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--images", type=int, default=360)
    parser.add_argument("--draws", type=int, default=64)
    options = parser.parse_args()
    train(options.work / "run", options.updates)
    model = hvae.load(options.work / "run")
    source = model.config.data.build().load("test")
    truth = source.batch(np.arange(min(options.images, len(source))))
    curves = {way: curve(way, model, truth, options.draws, seed=0) for way in WAYS}
    (options.work / "curves.json").write_text(
        json.dumps({way: found.tolist() for way, found in curves.items()}) + "\n"
    )
    print(table(curves))
    plot(curves, options.output / "adaptive-lines.png")


if __name__ == "__main__":
    main()
