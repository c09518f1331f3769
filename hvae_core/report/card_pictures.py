"""The pictures of a model card: samples, reconstructions from ever fewer latents, the training."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import HvaeError
from hvae_core.images.grids import save_grid
from hvae_core.inference.arguments import example_conditions
from hvae_core.report.collect import RunFacts, collect
from hvae_core.report.curves import draw_posterior_kl, draw_validation, plots_are_possible
from hvae_core.report.model_images import real_conditions, real_images
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


def reconstructions(
    model: HierarchicalVAE, images: np.ndarray, condition: Any = None
) -> np.ndarray:
    """A row of images, and below it their reconstructions from the latents that are `kept`.

    Raises:
        BadInputError: the model is no model of images alone, or the condition is missing.
    """
    rows = [
        model.reconstruct(images, latents=count, condition=condition)
        for count in kept(len(model.latent_shapes))
    ]
    return np.concatenate([images, *rows])


def draw_card(
    model: HierarchicalVAE, folder: Path, run: str | Path | None = None
) -> dict[Path, str]:
    """Draw the pictures of a card, as far as they can be drawn.

    Args:
        model: the model.
        folder: where they are written.
        run: the training's folder, for reconstructions of images that were not trained on, if they
            can be had, and for its curve, which needs matplotlib.

    Returns:
        The files, and what they show.
    """
    path = folder / SAMPLES_FILE
    save_grid(samples(model), path, COLUMNS, values=model.image_values)
    *warmer, coolest = TEMPERATURES
    shown = f"{', '.join(f'{t:g}' for t in warmer)} and {coolest:g}"
    found = {path: f"Samples with seed 0, {ROWS} rows at each of the temperatures {shown}."}
    facts = None if run is None else collect(run)
    if facts is not None:
        with suppress(HvaeError):
            found |= _draw_reconstructions(model, folder, facts)
        # Of a second encoder the bound is not what it is trained for.
        if plots_are_possible() and (picture := draw_posterior_kl(facts) or draw_validation(facts)):
            path = folder / TRAINING_FILE
            path.write_bytes(picture.parts[0][1])
            found[path] = picture.caption
    return found


def _draw_reconstructions(model: HierarchicalVAE, folder: Path, facts: RunFacts) -> dict[Path, str]:
    images, split = real_images(facts)
    grid = reconstructions(model, images, real_conditions(facts, model.condition_values))
    path = folder / RECONSTRUCTIONS_FILE
    save_grid(grid, path, len(images), values=model.image_values)
    return {path: caption_of_reconstructions(len(model.latent_shapes), split)}


def caption_of_reconstructions(layers: int, split: str = "test") -> str:
    """What a picture of `reconstructions` of images of a split shows."""
    first, *fewer = kept(layers)
    text = f"{split.capitalize()} images; below them their reconstructions from all {first} latents"
    if not fewer:
        return f"{text}."
    numbers = " and ".join(map(str, fewer))
    return f"{text}, and from the first {numbers}, the rest drawn from the prior."
