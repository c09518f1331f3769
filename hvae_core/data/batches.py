"""The batches of training and evaluation, each a function of the seed and its number alone.

Because batch ``step`` needs nothing of the batches before it, a run that was killed goes on at any
step with the numbers of a run that never stopped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator

import numpy as np

from hvae_core.data.conditions import Conditions
from hvae_core.errors import DataError
from hvae_core.files import threads
from hvae_core.interfaces import Batch, Dataset, ImageSource

Views = Callable[[np.ndarray, np.random.Generator], np.ndarray]
#: makes of images [B, H, W, C] what the encoder sees of them, float32 [B, H, W, C']
Observe = Callable[[np.ndarray, np.random.Generator], np.ndarray]

# The random streams drawn from one seed.
_ORDER, _AUGMENTATION, _EVALUATION, _SPLIT, _CONDITION, _OBSERVATION = range(6)


def split_validation(count: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide the images of a training split into training and validation.

    Args:
        count: number of images.
        fraction: part of them held out, 0 to below 1. At least one image is held out unless it is
            0, and at least one is left for training.
        seed: of the choice.

    Returns:
        The indices of the training and of the validation images, each sorted.

    Raises:
        DataError: there are too few images to divide.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction is {fraction}; expected 0 to below 1")
    held_out = max(1, round(count * fraction)) if fraction else 0
    if count - held_out < 1:
        raise DataError(
            f"The training split has {count} images, too few to hold out {held_out} of them "
            "for validation.",
            "Set train.validation_fraction to 0 or use more images.",
        )
    order = np.random.default_rng((seed, _SPLIT)).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


class Batches:
    """The numbered batches of some images of a split.

    In training every epoch is a fresh permutation and its last, partial batch is dropped, so that
    every update sees ``batch_size`` images; an image left out of one epoch comes up in others.
    Otherwise the images come in order, each once, and the last batch may be smaller.

    Args:
        source: the images.
        dataset: whose `Dataset.transform` augments and binarizes them.
        indices: which of the images, or None for all.
        batch_size: images in a batch.
        seed: of order and augmentation.
        training: whether to shuffle and augment.
        views: a regularizer's `Regularizer.views`, applied to the transformed batch in training.
        conditions: of the split's images; None: they have none.
        observe: what the encoder sees of the transformed images and their views; None: them.

    Raises:
        DataError: there are no images, or in training fewer than ``batch_size``.
    """

    def __init__(
        self,
        source: ImageSource,
        dataset: Dataset,
        *,
        indices: np.ndarray | None = None,
        batch_size: int,
        seed: int = 0,
        training: bool = False,
        views: Views | None = None,
        conditions: Conditions | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.source, self.dataset = source, dataset
        self.indices = np.arange(len(source)) if indices is None else np.asarray(indices)
        self.batch_size, self.seed, self.training = batch_size, seed, training
        self.views = views
        self.conditions, self.observe = conditions, observe
        self._permutation: tuple[int, np.ndarray] | None = None
        if len(self.indices) == 0:
            raise DataError("There are no images to make batches of.")
        if training and len(self.indices) < batch_size:
            raise DataError(
                f"train.batch_size is {batch_size} but there are only {len(self.indices)} "
                "training images.",
                f"Set train.batch_size to {len(self.indices)} or less.",
            )

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass."""
        if self.training:
            return len(self.indices) // self.batch_size
        return math.ceil(len(self.indices) / self.batch_size)

    def batch(self, step: int) -> Batch:
        """Batch number ``step``, counted from 0 over all epochs.

        Raises:
            DataError: the images are not what the data set declares, or cannot be read.
        """
        epoch, within = divmod(step, self.steps_per_epoch)
        order = self._order(epoch) if self.training else self.indices
        chosen = order[within * self.batch_size : (within + 1) * self.batch_size]
        images = self.source.batch(chosen)
        if not self.training:
            images = self._checked(self._evaluation(images, chosen))
            condition = None if self.conditions is None else self.conditions.batch(chosen)
            return Batch(images, self._observed(images, chosen), condition)
        rng = np.random.default_rng((self.seed, _AUGMENTATION, step))
        images = self._checked(self.dataset.transform(images, rng, True))
        if self.views is not None:
            images = self.views(images, rng)
        return Batch(images, self._observed(images, step), self._condition(chosen, step, images))

    def _checked(self, images: np.ndarray) -> np.ndarray:
        """The images, if they are what the data set declares.

        Raises:
            DataError: they are of another type or shape.
        """
        dtype, shape = self.dataset.values.dtype, tuple(self.dataset.shape)
        if images.dtype == dtype and images.shape[1:] == shape:
            return images
        raise DataError(
            f"The data set {self.dataset.info.title!r} gives images of {images.dtype} "
            f"{list(images.shape[1:])}; it declares {dtype} {list(shape)}.",
            "Give its spec image_values, or its images as declared; `hvae plugins check` tries its "
            "contract.",
        )

    def _condition(self, chosen: np.ndarray, step: int, images: np.ndarray) -> np.ndarray | None:
        """Of a training batch and its views, which are of one condition."""
        if self.conditions is None:
            return None
        rng = np.random.default_rng((self.seed, _CONDITION, step))
        condition = self.conditions.batch(chosen, rng)
        return np.concatenate([condition] * (len(images) // len(chosen)))

    def _observed(self, images: np.ndarray, of: int | np.ndarray) -> np.ndarray | None:
        """What the encoder sees: drawn for a training step, or for each image of an evaluation."""
        if self.observe is None:
            return None
        if isinstance(of, int):
            rng = np.random.default_rng((self.seed, _OBSERVATION, of))
            return np.asarray(self.observe(images, rng), np.float32)
        seeds = [(self.seed, _OBSERVATION, 0, int(index)) for index in of]
        seen = [
            self.observe(image[None], np.random.default_rng(seed))
            for image, seed in zip(images, seeds, strict=True)
        ]
        return np.concatenate(seen).astype(np.float32)

    def _order(self, epoch: int) -> np.ndarray:
        kept = self._permutation
        if kept is None or kept[0] != epoch:
            rng = np.random.default_rng((self.seed, _ORDER, epoch))
            kept = self._permutation = (epoch, rng.permutation(self.indices))
        return kept[1]

    def _evaluation(self, images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        # One generator an image: dynamic binarization then does not depend on the batch size.
        if type(self.dataset).transform is Dataset.transform:
            return images
        return np.concatenate(
            [
                self.dataset.transform(
                    image[None],
                    np.random.default_rng((self.seed, _EVALUATION, int(index))),
                    False,
                )
                for image, index in zip(images, chosen, strict=True)
            ]
        )


def evaluation_batches(
    source: ImageSource,
    dataset: Dataset,
    batch_size: int,
    seed: int = 0,
    limit: int | None = None,
    conditions: Conditions | None = None,
    observe: Observe | None = None,
) -> Iterator[Batch]:
    """All images of a split in order, each once; the last batch may be smaller.

    Args:
        source: the images.
        dataset: whose `Dataset.transform` binarizes them. The draw for an image depends on
            ``seed`` and its position only, so an evaluation can be repeated.
        batch_size: images in a batch.
        seed: of the binarization.
        limit: only the first so many images.
        conditions: of the split's images, where the model has a condition.
        observe: what the encoder sees of the images; None: them. The draw for an image depends on
            ``seed`` and its position only.

    Yields:
        The batches.
    """
    count = len(source) if limit is None else min(limit, len(source))
    batches = Batches(
        source,
        dataset,
        indices=np.arange(count),
        batch_size=batch_size,
        seed=seed,
        conditions=conditions,
        observe=observe,
    )
    for step in range(batches.steps_per_epoch):
        yield batches.batch(step)


def prefetch(
    batches: Batches, start_step: int = 0, stop_step: int | None = None, depth: int = 2
) -> Generator[tuple[int, Batch], None, None]:
    """Make batches on a background thread, ahead of their use.

    Closing the generator ends the thread. An exception in the thread is raised here.

    Args:
        batches: what to read.
        start_step: number of the first batch.
        stop_step: number after the last, or None to go on for ever.
        depth: batches kept ready.

    Yields:
        ``(step, batch)``.
    """
    steps = itertools.count(start_step) if stop_step is None else range(start_step, stop_step)
    return threads.prefetch(((step, batches.batch(step)) for step in steps), depth)
