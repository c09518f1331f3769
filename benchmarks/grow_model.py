"""A larger model that computes what a trained one does, to train it further.

    python benchmarks/grow_model.py cifar10-vdvae DIR --set model.decoder_middle_width=48

More decoder blocks at a scale, where the readout reads the decoder's features, and wider layers in
the middle of blocks, as in Net2Net (Chen, Goodfellow and Shlens 2016, arXiv 1511.05641): what the
trained model has keeps its place, new blocks come after those of their scale and add nothing, and
new channels are read by nothing. Channels and residual blocks learn from the first updates on. The
latents of new decoder blocks need not: to say nothing costs a layer nothing, and those of
`cifar10-vdvae` still did after 2,500 updates (docs/training-log.md). Before the folder is written,
both models' bounds of random images are compared, with the same noise; ``hvae train DIR --weights
DIR`` goes on from it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import hvae
from hvae_core.vae import HierarchicalVAE
from hvae_core.weights import assign, model_arrays

BLOCK = re.compile(r"decoder\.blocks\.(\d+)\.(.+)")
#: how a new block enters: what it draws, what its residual adds, and its two distributions
ENTRIES = ("projection", "residual.conv4", "prior.conv4", "posterior.conv4")
#: the greatest relative difference of a bound
TOLERANCE = 1e-5


def layers_of(source: HierarchicalVAE, target: HierarchicalVAE) -> dict[int, int]:
    """The source's latent layers by those of the target that take their place.

    A layer's place is its scale and its number there.
    """
    known, new = places(source), places(target)
    if missing := known.keys() - new.keys():
        raise SystemExit(f"The larger model has no layer for {sorted(missing)} (side, number).")
    return {new[place]: index for place, index in known.items()}


def places(model: HierarchicalVAE) -> dict[tuple[int, int], int]:
    """The index of each latent layer by its scale, a side, and its number there."""
    sides = [shape[0] for shape in model.latent_shapes]
    numbers = [sides[:index].count(side) for index, side in enumerate(sides)]
    return {place: index for index, place in enumerate(zip(sides, numbers, strict=True))}


def embedded(small: np.ndarray, fresh: np.ndarray, name: str) -> np.ndarray:
    """A kernel or bias of more channels: they are fresh, and what was there reads none of them."""
    if any(a < b for a, b in zip(fresh.shape, small.shape, strict=True)):
        raise SystemExit(f"{name} would shrink from {small.shape} to {fresh.shape}.")
    grown = fresh.copy()
    if small.ndim > 1:
        grown[..., small.shape[-2] :, : small.shape[-1]] = 0.0
    grown[tuple(slice(size) for size in small.shape)] = small
    return grown


def grown_arrays(source: HierarchicalVAE, target: HierarchicalVAE) -> dict[str, np.ndarray]:
    """The larger model's weights by name."""
    trained, fresh, layers = model_arrays(source), model_arrays(target), layers_of(source, target)
    if len(layers) < len(target.latent_shapes) and target.config.model.readout.kind == "latents":
        raise SystemExit("The readout reads all latents, and would read those of new blocks.")

    def grown(name: str, array: np.ndarray) -> np.ndarray:
        block = BLOCK.fullmatch(name)
        if block is None:
            return embedded(trained[name], array, name)
        index, part = int(block[1]), block[2]
        if index in layers:
            name = f"decoder.blocks.{layers[index]}.{part}"
            return embedded(trained[name], array, name)
        return np.zeros_like(array) if part.rpartition(".")[0] in ENTRIES else array

    return {name: grown(name, array) for name, array in fresh.items()}


def bounds(
    model: HierarchicalVAE,
    images: np.ndarray,
    noise: Sequence[np.ndarray],
    layers: Mapping[int, int],
) -> np.ndarray:
    """The bounds [B] in nats, with each layer's noise that of the layer whose place it takes."""
    own = [
        noise[layers[index]] if index in layers else np.zeros((len(images), *shape), np.float32)
        for index, shape in enumerate(model.latent_shapes)
    ]
    return model.elbo(images, noise=own).elbo


def difference(source: HierarchicalVAE, target: HierarchicalVAE) -> float:
    """The greatest relative difference of the two models' bounds of random images."""
    rng = np.random.default_rng(0)
    images = rng.integers(100, 150, (4, *source.image_shape)).astype(np.uint8)
    noise = [rng.normal(size=(4, *s)).astype(np.float32) for s in source.latent_shapes]
    before = bounds(source, images, noise, dict(enumerate(range(len(noise)))))
    after = bounds(target, images, noise, layers_of(source, target))
    return float(np.abs(after / before - 1).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", help="a preset, run or folder with weights")
    parser.add_argument("folder", type=Path, help="to be written")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    source = hvae.load(options.preset)
    target = hvae.build(options.preset, overrides=options.set)
    assign(target, grown_arrays(source, target), options.preset)
    found = difference(source, target)
    print(f"{source.count_params():,} to {target.count_params():,} parameters; ", end="")
    print(f"the bounds differ by at most {found:.1e} of them")
    if found > TOLERANCE:
        raise SystemExit("The larger model does not compute the same.")
    target.save(options.folder)


if __name__ == "__main__":
    main()
