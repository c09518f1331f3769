"""Images of a run's model: samples at several temperatures, and what each scale adds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hvae_core.data import open_conditions, open_dataset
from hvae_core.errors import DataError
from hvae_core.images.grids import encode_png, make_grid
from hvae_core.inference.arguments import example_conditions
from hvae_core.interfaces import ConditionValues, Dataset, ImageSource
from hvae_core.report.collect import RunFacts, held_out
from hvae_core.report.picture import Picture
from hvae_core.runs.best_checkpoint import find_weights
from hvae_core.training.feeding import SPLIT

if TYPE_CHECKING:
    from hvae_core.vae import HierarchicalVAE

TEMPERATURES = (0.5, 0.7, 0.85, 1.0)
#: images of a grid, as many as `SampleGrids` draws: the same compiled program
SAMPLES = 16
RECONSTRUCTED = 10


def load_model(facts: RunFacts) -> HierarchicalVAE:
    """The run's model with its best averaged weights.

    Raises:
        BadInputError: there is no checkpoint yet.
        WeightsError: it is damaged.
    """
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights import load_weights

    config, weights = find_weights(facts.path)
    model = HierarchicalVAE(config, precision="float32")
    load_weights(model, weights)
    return model


def draw_samples(facts: RunFacts, model: HierarchicalVAE) -> Picture:
    """Samples from the prior, the same noise at each of `TEMPERATURES`."""
    seed, values = facts.config.train.seed, model.image_values
    parts = []
    for temperature in TEMPERATURES:
        images = model.sample(
            SAMPLES,
            temperature=temperature,
            seed=seed,
            condition=example_conditions(model, SAMPLES),
        )
        parts.append((f"temperature {temperature:g}", encode_png(make_grid(images, values=values))))
    caption = "Drawn from the prior with the same noise; the temperature scales its deviations."
    return Picture("samples", "Samples", caption, parts, columns=len(parts))


def draw_hierarchy(facts: RunFacts, model: HierarchicalVAE) -> Picture:
    """Reconstructions from the first k latents, k at the end of each scale.

    Raises:
        DataError: the images cannot be read.
    """
    images, source = real_images(facts)
    condition = real_conditions(facts, model.condition_values)
    model.check_images(images.shape, model.image_values)
    rows = [(f"{source} images", images)]
    # Temperature 0: what the latents left out would add is at its mean, not noise.
    for count, label in scale_ends(facts):
        drawn = model.reconstruct(
            images,
            latents=count,
            seed=facts.config.train.seed,
            temperature=0.0,
            condition=condition,
        )
        plural = "s" if count > 1 else ""
        rows.append((f"first {count} latent{plural}, down to {label}", drawn))
    side = max(images.shape[1:3])
    scale = max(1, math.ceil(64 / side))
    parts = [
        (text, encode_png(make_grid(row, len(row), scale, model.image_values)))
        for text, row in rows
    ]
    caption = (
        "The first k latents are the posterior's, coarsest first; the others are the prior's means."
    )
    return Picture("hierarchy", "What each scale holds", caption, parts, columns=1)


def scale_ends(facts: RunFacts) -> list[tuple[int, str]]:
    """How many latents there are to the end of each scale that has any, and the scale's size.

    A top prior's count with those of the coarsest scale.
    """
    model = facts.config.model
    ends, count = [], len(model.latent_shapes) - len(model.block_shapes)
    for stage in reversed(model.stages):
        count += stage.decoder_blocks
        if stage.decoder_blocks:
            ends.append((count, "x".join(map(str, stage.size))))
    return ends


def real_images(facts: RunFacts) -> tuple[np.ndarray, str]:
    """Some images that were not trained on, [B, H, W, C], and what they are.

    Those of the split test, or the held-out ones where the data set has none.

    Raises:
        DataError: the images cannot be read, or all were trained on.
    """
    dataset, source, name, indices = _chosen(facts)
    return dataset.transform(source.batch(indices), np.random.default_rng(0), False), name


def real_conditions(facts: RunFacts, values: ConditionValues | None) -> np.ndarray | None:
    """The conditions of `real_images`; None where the model has none.

    Raises:
        DataError: they cannot be read.
    """
    if values is None:
        return None
    dataset, source, name, indices = _chosen(facts)
    split = name if name == "test" else SPLIT
    conditions = open_conditions(values, dataset, split, len(source))
    return None if conditions is None else values.decode(conditions.batch(indices))


def _chosen(facts: RunFacts) -> tuple[Dataset, ImageSource, str, np.ndarray]:
    """The data set, the images of a split, what they are, and which of them are shown."""
    dataset = open_dataset(facts.config.data) if facts.dataset is None else facts.dataset
    if "test" in dataset.splits:
        source, name = dataset.load("test"), "test"
        indices = np.arange(min(RECONSTRUCTED, len(source)))
    else:
        source, name = dataset.load(SPLIT), "validation"
        indices = np.asarray(held_out(facts)[:RECONSTRUCTED], dtype=np.int64)
        if not len(indices):
            raise DataError("The data set has no split test and no image is held out.")
    return dataset, source, name, indices
