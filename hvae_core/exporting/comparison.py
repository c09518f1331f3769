"""The ELBO of an export beside that of the model it was made from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hvae_core.config import Config
from hvae_core.data import evaluation_batches, open_conditions, open_dataset
from hvae_core.errors import HvaeError
from hvae_core.evaluation.bounds import elbo
from hvae_core.inference import sample
from hvae_core.inference.arguments import check_batch
from hvae_core.inference.engine import Engine
from hvae_core.interfaces import Batch
from hvae_core.interfaces.image_shapes import check_image_shape
from hvae_core.interfaces.values import check_image_values

#: images that the two are compared on at most, and how many values they have in all
COUNT = 64
VALUES = COUNT * 64 * 64 * 3


def count_of(live: Engine) -> int:
    """How many images are compared: fewer of large ones, which take memory at once."""
    return max(1, min(COUNT, VALUES // math.prod(live.image_shape)))


def compare(config: Config, live: Engine, exported: Engine) -> dict[str, Any]:
    """Both bounds on the same images with the same noise.

    The images are the first of the test split of the model's data set, or drawn from the model
    where that data set is not on this machine.

    Returns:
        ``images`` and ``on``; ``elbo`` and ``elbo_of_the_model`` in nats, ``bits_per_dim`` and
        ``bits_per_dim_of_the_model``: means over the images; ``largest_difference`` of an image's
        ELBO, in nats. Continuous images have no bits/dim.
    """
    images, source = _images(config, live)
    ours = elbo(exported, images, seed=0)
    reference = elbo(live, images, seed=0)
    bits = {}
    if ours.bits_per_dim is not None and reference.bits_per_dim is not None:
        bits["bits_per_dim"] = float(ours.bits_per_dim.mean())
        bits["bits_per_dim_of_the_model"] = float(reference.bits_per_dim.mean())
    return {
        "images": len(images),
        "on": source,
        "elbo": float(ours.elbo.mean()),
        "elbo_of_the_model": float(reference.elbo.mean()),
        **bits,
        "largest_difference": float(np.abs(ours.elbo - reference.elbo).max()),
    }


def _images(config: Config, live: Engine) -> tuple[Batch, str]:
    try:
        dataset = open_dataset(config.data)
        split = "test" if "test" in dataset.splits else dataset.splits[-1]
        check_image_values(dataset.values, live.image_values)
        source = dataset.load(split)
        check_image_shape(source.shape, live.image_shape)
        if live.encoder_shape != live.image_shape:
            return _drawn(live)
        conditions = open_conditions(live.condition_values, dataset, split, len(source))
        count = count_of(live)
        batches = evaluation_batches(
            source, dataset, batch_size=count, seed=0, limit=count, conditions=conditions
        )
        return next(batches), f"{config.data.name}, {split}"
    except HvaeError:
        return _drawn(live)


def _drawn(live: Engine) -> tuple[Batch, str]:
    values, count = live.condition_values, count_of(live)
    condition: Any = None
    if values is not None and values.form == "class":
        condition = [place % values.size for place in range(count)]
    elif values is not None:
        condition = np.zeros(values.size)
    images = sample(live, count, seed=0, condition=condition)
    inputs = None
    if live.encoder_shape != live.image_shape:
        more = live.encoder_shape[-1] - live.image_shape[-1]
        rest = np.ones((*images.shape[:3], more), np.float32)
        inputs = np.concatenate([images.astype(np.float32), rest], axis=-1)
    return check_batch(live, images, condition, inputs), "images drawn from the model"
