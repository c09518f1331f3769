"""The pictures of a model card: samples, reconstructions from ever fewer latents, the training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hvae_core.images.grids import save_grid
from hvae_core.inference.arguments import example_conditions
from hvae_core.inference.counterfactual import likeliest
from hvae_core.report.collect import collect
from hvae_core.report.curves import draw_validation, plots_are_possible
from hvae_core.zoo.preset import RECONSTRUCTIONS_FILE, SAMPLES_FILE, TRAINING_FILE

if TYPE_CHECKING:
    from hvae_core.vae import HierarchicalVAE

TEMPERATURES = (1.0, 0.85, 0.7)
#: images of a row, and rows of samples at each temperature
COLUMNS, ROWS = 12, 2


def samples(model: HierarchicalVAE, temperatures: Sequence[float] = TEMPERATURES) -> np.ndarray:
    """Samples from the prior with seed 0, the same noise at each temperature, row by row."""
    count = ROWS * COLUMNS
    condition = example_conditions(model, count)
    return np.concatenate(
        [model.sample(count, t, seed=0, condition=condition) for t in temperatures]
    )


def kept(layers: int) -> tuple[int, ...]:
    """How many leading latents the rows of reconstructions keep: all, a half, a quarter."""
    return tuple(dict.fromkeys((layers, (layers + 1) // 2, (layers + 3) // 4)))


def reconstructions(model: HierarchicalVAE, images: np.ndarray) -> np.ndarray:
    """A row of images, and below it their reconstructions from the latents that are `kept`."""
    own = None if model.condition_values is None else likeliest(model, images)
    rows = [
        model.reconstruct(images, latents=count, condition=own)
        for count in kept(len(model.latent_shapes))
    ]
    return np.concatenate([images, *rows])


def draw_card(
    model: HierarchicalVAE,
    folder: Path,
    *,
    images: np.ndarray | None = None,
    run: Path | None = None,
) -> dict[Path, str]:
    """Draw the pictures of a card.

    Args:
        model: the model.
        folder: where they are written.
        images: some that were not trained on, for reconstructions; None: there are none.
        run: the training's folder, for its curve, which needs matplotlib; None: it has none.

    Returns:
        The files, and what they show.
    """
    scale = max(1, 64 // model.image_shape[0])
    columns = COLUMNS
    shown = " and ".join([", ".join(f"{t:g}" for t in TEMPERATURES[:-1]), f"{TEMPERATURES[-1]:g}"])
    path = folder / SAMPLES_FILE
    save_grid(samples(model), path, columns, scale, values=model.image_values)
    found = {path: f"Samples with seed 0, {ROWS} rows at each of the temperatures {shown}."}
    if images is not None and len(images):
        path = folder / RECONSTRUCTIONS_FILE
        grid = reconstructions(model, images)
        save_grid(grid, path, len(images), scale, values=model.image_values)
        first, *fewer = kept(len(model.latent_shapes))
        numbers = " and ".join(map(str, fewer))
        found[path] = f"Test images; below them their reconstructions from all {first} latents" + (
            f", and from the first {numbers}, the rest drawn from the prior." if fewer else "."
        )
    if run is not None and plots_are_possible():
        picture = draw_validation(collect(run))
        if picture is not None:
            path = folder / TRAINING_FILE
            path.write_bytes(picture.parts[0][1])
            found[path] = picture.caption
    return found
