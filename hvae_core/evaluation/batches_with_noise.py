"""Batches of images with the noise that each image owns, as Keras's loops take them."""

from __future__ import annotations

import functools
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


def batches_for_predict(
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


def batches_for_evaluate(
    engine: Engine, x: Any, batch_size: int | None, seed: int, steps: int | None = None
) -> keras.utils.PyDataset | Iterator[Any]:
    """What Keras's `evaluate` is given: as `batches_for_predict`, with all that batches hold.

    Args:
        engine: see `batches_for_predict`.
        x: the same. Batches are not checked, and begin anew with each evaluation but for those of
            an iterator.
        batch_size: see `batches_for_predict`.
        seed: the same.
        steps: so many batches are taken; None: all.

    Raises:
        BadInputError: an array holds no images of the model's shape.
    """
    if isinstance(x, Mapping) or is_array(x):
        return batches_for_predict(engine, x, batch_size, seed)
    if isinstance(x, Iterator):
        return _added(engine, x, seed)
    return _RestartedBatches(engine, x, seed, steps)


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
    for batch in _in_order(x):
        images = batch[0] if isinstance(batch, tuple | list) else batch
        checked = check_batch(engine, images)
        yield _batch(engine, checked, start, seed)
        start += len(checked)


def _in_order(x: Any) -> Iterator[Any]:
    """The batches of a data set or a loader."""
    return (x[i] for i in range(len(x))) if isinstance(x, keras.utils.PyDataset) else iter(x)


def _added(engine: Engine, batches: Iterator[Any], seed: int) -> Iterator[Any]:
    """The batches, targets and weights included, with noise beside their images."""
    start = 0
    for batch in batches:
        inputs, *rest = batch if isinstance(batch, tuple | list) else (batch,)
        named = dict(inputs) if isinstance(inputs, Mapping) else {"images": inputs}
        count = int(named["images"].shape[0])
        noise = draw_normal(engine.latent_shapes, count, seed, start)
        yield ({**named, "noise": noise}, *rest)
        start += count


class _RestartedBatches(keras.utils.PyDataset):
    """Batches that are gone through in order, and anew from each first one on."""

    def __init__(self, engine: Engine, x: Any, seed: int, steps: int | None) -> None:
        super().__init__()
        self._engine, self._given, self._seed, self._steps = engine, x, seed, steps
        self._rest: Iterator[Any] = iter(())

    @functools.cached_property
    def num_batches(self) -> int:
        """How many there are; those of unknown number are counted."""
        if self._steps is not None:
            return self._steps
        try:
            return len(self._given)
        except TypeError:
            return sum(1 for _ in self._given)

    def __len__(self) -> int:
        return self.num_batches

    def __getitem__(self, index: int) -> Any:
        if index == 0:
            self._rest = _added(self._engine, _in_order(self._given), self._seed)
        return next(self._rest)
