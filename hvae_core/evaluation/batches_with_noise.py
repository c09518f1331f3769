"""Batches of images with the noise that each image owns, as Keras's `predict` takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from hvae_core.inference.arguments import check_count, check_images, is_array
from hvae_core.inference.engine import Engine
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE
from hvae_core.prob.noise import draw_normal

#: what Keras takes for one input of two parts, without targets
Batch = tuple[dict[str, np.ndarray]]


def batches_with_noise(
    engine: Engine, x: Any, batch_size: int | None, seed: int
) -> keras.utils.PyDataset | Iterator[Batch]:
    """Batches ``({"images": [b, H, W, C], "noise": [b, N]},)``.

    Args:
        engine: whose images and noise they are.
        x: an array of images, or batches of them.
        batch_size: of an array, by default 32.
        seed: of the noise; an image's follows from the seed and its place in ``x``.

    Raises:
        BadInputError: these are no images of the model's shape.
    """
    if is_array(x):
        size = DEFAULT_BATCH_SIZE if batch_size is None else check_count(batch_size, "batch_size")
        return _ArrayBatches(engine, check_images(engine, x), size, seed)
    return _given_batches(engine, x, seed)


def _batch(engine: Engine, images: np.ndarray, start: int, seed: int) -> Batch:
    noise = draw_normal(engine.latent_shapes, len(images), seed, start)
    return ({"images": engine.image_values.to_tensor_dtype(images), "noise": noise},)


class _ArrayBatches(keras.utils.PyDataset):
    """The batches of an array; Keras knows how many there are."""

    def __init__(self, engine: Engine, images: np.ndarray, batch_size: int, seed: int) -> None:
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
        images = check_images(engine, images)
        yield _batch(engine, images, start, seed)
        start += len(images)
