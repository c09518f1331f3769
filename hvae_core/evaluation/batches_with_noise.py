"""Batches of images with the noise that each image owns, as Keras's `predict` takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from hvae_core.inference.arguments import check_batch, check_count, is_array
from hvae_core.inference.engine import Engine
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE
from hvae_core.interfaces import Batch as Given
from hvae_core.prob.noise import draw_normal

#: what Keras takes for one input of two parts, without targets
Batch = tuple[dict[str, np.ndarray]]


def batches_with_noise(
    engine: Engine, x: Any, batch_size: int | None, seed: int
) -> keras.utils.PyDataset | Iterator[Batch]:
    """Batches ``({"images": [b, H, W, C], "noise": [b, N]},)``, and what else there is of each.

    Args:
        engine: whose images and noise they are.
        x: an array of images, a mapping with ``images``, ``condition`` and ``inputs``, or batches
            of images.
        batch_size: of an array, by default 32.
        seed: of the noise; an image's follows from the seed and its place in ``x``.

    Raises:
        BadInputError: these are no images of the model's shape.
    """
    if isinstance(x, Mapping) or is_array(x):
        given = dict(x) if isinstance(x, Mapping) else {"images": x}
        batch = check_batch(engine, given["images"], given.get("condition"), given.get("inputs"))
        size = DEFAULT_BATCH_SIZE if batch_size is None else check_count(batch_size, "batch_size")
        return _ArrayBatches(engine, batch, size, seed)
    return _given_batches(engine, x, seed)


def _batch(engine: Engine, given: Given, start: int, seed: int) -> Batch:
    noise = draw_normal(engine.latent_shapes, len(given), seed, start)
    images = engine.image_values.to_tensor_dtype(given.images)
    return ({**given.named(), "images": images, "noise": noise},)


class _ArrayBatches(keras.utils.PyDataset):
    """The batches of an array; Keras knows how many there are."""

    def __init__(self, engine: Engine, images: Given, batch_size: int, seed: int) -> None:
        super().__init__()
        self._engine, self._images, self._size, self._seed = engine, images, batch_size, seed

    def __len__(self) -> int:
        return math.ceil(len(self._images) / self._size)

    def __getitem__(self, index: int) -> Batch:
        start = index * self._size
        return _batch(self._engine, self._images[start : start + self._size], start, self._seed)


def _given_batches(engine: Engine, x: Any, seed: int) -> Iterator[Batch]:
    """The batches of a data set, a loader or a generator."""
    start = 0
    given = (x[i] for i in range(len(x))) if isinstance(x, keras.utils.PyDataset) else x
    for batch in given:
        images = batch[0] if isinstance(batch, tuple | list) else batch
        checked = check_batch(engine, images)
        yield _batch(engine, checked, start, seed)
        start += len(checked)
