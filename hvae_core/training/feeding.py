"""The images of a run: which are trained on, which are held out. Imports no Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from hvae_core.config import Config
from hvae_core.data import Batches, open_dataset, split_validation
from hvae_core.errors import ConfigError, DataError
from hvae_core.interfaces import Dataset, ImageSource, Regularizer, Shape3
from hvae_core.interfaces.values import check_image_values

if TYPE_CHECKING:
    from hvae_core.fetching.download import Progress

#: the split that training and validation images are taken from; "test" is for `hvae evaluate`
SPLIT = "train"


@dataclasses.dataclass(frozen=True)
class Images:
    """The images of a run.

    Args:
        dataset: whose transformation is applied.
        source: the training split.
        training: indices of the images trained on.
        validation: indices of those held out; may be empty.
        regularizer: makes the views of a training batch; None: there is none.
    """

    dataset: Dataset
    source: ImageSource
    training: np.ndarray
    validation: np.ndarray
    regularizer: Regularizer | None = None

    @property
    def shape(self) -> Shape3:
        """Shape [H, W, C] of an image."""
        return self.source.shape

    def training_batches(self, config: Config) -> Batches:
        """The batches to train on.

        Raises:
            DataError: there are fewer images than ``train.batch_size``.
        """
        return Batches(
            self.source,
            self.dataset,
            indices=self.training,
            batch_size=config.train.batch_size,
            seed=config.train.seed,
            training=True,
            views=self.regularizer.views if self.regularizer else None,
        )

    def validation_batches(self, config: Config) -> Callable[[], Iterator[np.ndarray]] | None:
        """What makes the validation batches anew each time, or None where nothing is held out.

        With ``train.validation_images`` they are a choice that the seed fixes.
        """
        chosen, limit = self.validation, config.train.validation_images
        if not len(chosen):
            return None
        if limit is not None and limit < len(chosen):
            order = np.random.default_rng(config.train.seed).permutation(chosen)
            chosen = np.sort(order[:limit])
        batches = Batches(
            self.source,
            self.dataset,
            indices=chosen,
            batch_size=min(config.train.batch_size // config.train.accumulate, len(chosen)),
            seed=config.train.seed,
        )
        return lambda: (batches.batch(step) for step in range(batches.steps_per_epoch))


def open_images(
    config: Config,
    validation: np.ndarray | None = None,
    dataset: Dataset | None = None,
    progress: Progress | None = None,
) -> Images:
    """Open the data set and divide its training split.

    Args:
        config: gives `data` and the options of the division.
        validation: the images held out when the run was started, or None to draw them.
        dataset: the data set that `data` stands for, where it is open already.
        progress: called with the bytes done and the total (or None) during a download.

    Raises:
        DataError: the data set cannot be read, or has too few images.
        ConfigError: the images are not what the configuration says, or early stopping is asked for
            and nothing is held out.
    """
    if config.train.patience is not None and not config.train.validation_fraction:
        raise ConfigError(
            "train.patience is set but train.validation_fraction is 0: there is nothing to "
            "stop by.",
            "Hold out some images, or leave train.patience unset.",
        )
    dataset = open_dataset(config.data, progress) if dataset is None else dataset
    check_image_values(dataset.values, config.image_values, "The training images are")
    source = dataset.load(SPLIT)
    count = len(source)
    if validation is None:
        training, validation = split_validation(
            count, config.train.validation_fraction, config.train.seed
        )
    else:
        if len(validation) and (validation.min() < 0 or validation.max() >= count):
            raise DataError(
                f"The data set has {count} training images, but image {int(validation.max())} "
                "was held out when the run was started: the data have changed.",
                "Resume with the data the run was started with.",
            )
        training = np.setdiff1d(np.arange(count), validation)
    return Images(dataset, source, training, validation, _regularizer(config, dataset))


def _regularizer(config: Config, dataset: Dataset) -> Regularizer | None:
    if config.regularizer is None:
        return None
    levels = config.build_likelihood().levels
    return config.regularizer.build(dataset, levels)
