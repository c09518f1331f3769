"""Denoising learnt from noisy images alone, beside filters that know the noise as well.

    python benchmarks/denoising.py --root CIFAR10 --work runs/denoising --output docs/images

Adds Poisson-Gaussian noise of a known gain and read-out noise to CIFAR-10, trains a small model on
the noisy training images with the likelihood `noise-model` (eleven minutes of one core a seed), and
prints the PSNR of the mean of 100 draws on noisy test images beside that of the noisy images, of
total variation and of non-local means, both with and without the transform of Anscombe that makes
the noise even. The filters' strength is the best of several, chosen on the test images themselves:
more than a user could do. A run that is there is not trained
again, one that was stopped is resumed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from small_models import TRAIN, small_model, trained

import hvae
from hvae_core.config import create_component

#: grey levels a photon, and the standard deviation of reading out, in grey levels
GAIN, READ = 8.0, 12.0
TRAINED_ON, TESTED_ON, SHOWN = 16_667, 50, 6
CONFIG = {
    "model": {**small_model(32, 3, [24, 32, 48, 64], [3, 6, 8, 8]), "top": "zeros"},
    "likelihood": {"name": "noise-model", "gain": GAIN, "offset": READ**2},
    "data": {"name": "python", "values": {"dtype": "float32", "range": [0, 255]}},
}


def images(root: str, split: str, count: int) -> np.ndarray:
    """Clean ones, float32 [N, 32, 32, 3]."""
    dataset = create_component("dataset", {"name": "cifar10", "root": root}).build()
    return dataset.load(split).batch(np.arange(count)).astype(np.float32)


def with_noise(clean: np.ndarray, seed: int) -> np.ndarray:
    """Photons are counted, then read out."""
    rng = np.random.default_rng(seed)
    noisy = GAIN * rng.poisson(clean / GAIN) + rng.normal(0, READ, clean.shape)
    return noisy.astype(np.float32)


def model_of(arguments: argparse.Namespace, seed: int) -> hvae.HierarchicalVAE:
    """The model of a seed."""
    config = {**CONFIG, "train": {**TRAIN, "seed": seed, "steps": arguments.steps}}
    noisy = with_noise(images(arguments.root, "train", TRAINED_ON), 1 + seed)
    return trained(config, arguments.work / f"seed-{seed}", noisy)


def psnr(found: np.ndarray, clean: np.ndarray) -> float:
    """Of 255 levels, in dB: the mean over the images."""
    errors = np.square(np.clip(found, 0, 255) - clean).mean(axis=(1, 2, 3))
    return float(np.mean(10 * np.log10(255**2 / errors)))


def evened(noisy: np.ndarray) -> np.ndarray:
    """Noise of standard deviation 1, whatever the signal (Anscombe's transform, generalised)."""
    return 2 / GAIN * np.sqrt(np.maximum(GAIN * noisy + 3 / 8 * GAIN**2 + READ**2, 0))


def back(even: np.ndarray) -> np.ndarray:
    """From `evened` to grey levels, without the bias of the inverse alone."""
    return ((even * GAIN / 2) ** 2 - 3 / 8 * GAIN**2 - READ**2) / GAIN + GAIN / 4


def filtered(noisy: np.ndarray, clean: np.ndarray) -> dict[str, np.ndarray]:
    """What each filter gives at the strength that is best on these images."""
    from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

    even = evened(noisy)
    deviation = np.sqrt(GAIN * clean.mean() + READ**2) / 255

    def total_variation(images: np.ndarray, weight: float) -> np.ndarray:
        return np.stack([denoise_tv_chambolle(x, weight, channel_axis=-1) for x in images])

    def non_local_means(images: np.ndarray, strength: float, sigma: float) -> np.ndarray:
        options = {"patch_size": 3, "patch_distance": 6, "sigma": sigma, "channel_axis": -1}
        return np.stack([denoise_nl_means(x, h=strength * sigma, **options) for x in images])

    weights, strengths = (0.3, 0.5, 0.7, 0.9), (0.3, 0.4, 0.5, 0.6, 0.8)
    candidates = {
        "total variation": [
            255 * total_variation(noisy / 255, w) for w in (0.06, 0.08, 0.1, 0.12, 0.15)
        ],
        "total variation, noise made even": [back(total_variation(even, w)) for w in weights],
        "non-local means": [255 * non_local_means(noisy / 255, h, deviation) for h in strengths],
        "non-local means, noise made even": [
            back(non_local_means(even, h, 1.0)) for h in strengths
        ],
    }
    return {
        name: max(found, key=lambda images: psnr(images, clean))
        for name, found in candidates.items()
    }


def main() -> None:
    """Train and measure."""
    from PIL import Image

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of CIFAR-10's files")
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--output", type=Path, default=Path(), help="folder of the picture")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=3000, help="updates")
    parser.add_argument("--draws", type=int, default=100)
    arguments = parser.parse_args()
    clean = images(arguments.root, "test", TESTED_ON)
    noisy = with_noise(clean, 2)
    filters = filtered(noisy, clean)
    print(f"noisy: {psnr(noisy, clean):.2f} dB")
    for name, found in filters.items():
        print(f"{name}: {psnr(found, clean):.2f} dB")
    means = []
    for seed in arguments.seeds:
        found = model_of(arguments, seed).denoise(noisy, arguments.draws, keep=1, batch_size=50)
        mean, one = psnr(found.mean, clean), psnr(found.draws[0], clean)
        means.append(mean)
        print(
            f"hvae, seed {seed}: mean of {arguments.draws} draws {mean:.2f} dB, one {one:.2f} dB",
            flush=True,
        )
        if seed == arguments.seeds[0]:
            best = max(filters, key=lambda name: psnr(filters[name], clean))
            print(f"picture: clean, noisy, {best}, the mean, one draw")
            rows = [clean, noisy, filters[best], found.mean, found.draws[0]]
            shown = np.stack([np.clip(row[:SHOWN], 0, 255) for row in rows])
            grid = np.concatenate(list(np.concatenate(list(shown), axis=1)), axis=1)
            large = np.rint(grid).astype(np.uint8).repeat(3, axis=0).repeat(3, axis=1)
            Image.fromarray(large).save(arguments.output / "denoising.png")
    spread = np.std(means, ddof=1) if len(means) > 1 else 0.0
    print(f"{len(means)} seeds: {np.mean(means):.2f} dB, standard deviation {spread:.2f} dB")


if __name__ == "__main__":
    main()
