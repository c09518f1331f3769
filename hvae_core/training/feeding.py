"""The images of a run: which are trained on, which are held out. Imports no Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hvae_core.config import Config
from hvae_core.data import Batches, Conditions, open_conditions, open_dataset, split_validation
from hvae_core.data.duplicates import shared_images
from hvae_core.data.fingerprints import Fingerprint, fingerprint
from hvae_core.data.held_out import hold_out
from hvae_core.data.observing import Observation
from hvae_core.errors import BadInputError, ConfigError, DataError, HvaeError
from hvae_core.interfaces import Batch, Dataset, ImageSource, Regularizer, Shape3
from hvae_core.interfaces.values import check_image_values
from hvae_core.runs.data_record import TRAIN, DataRecord, changed, check_unchanged
from hvae_core.runs.validation_record import VALIDATION_FILE, ValidationRecord

if TYPE_CHECKING:
    from hvae_core.data.batches import Observe
    from hvae_core.fetching.download import Progress

#: the split that training and validation images are taken from; "test" is for `hvae evaluate`
SPLIT = TRAIN


@dataclasses.dataclass(frozen=True)
class Images:
    """The images of a run.

    Args:
        dataset: whose transformation is applied.
        source: the training split.
        training: indices of the images trained on.
        validation: indices of those held out; may be empty.
        regularizer: makes the views of a training batch; None: there is none.
        record: what a run records of its images.
        notes: sentences for the user on what was read.
        conditions: of the training split's images; None: the model has none.
        observe: what the encoder sees of images, see `hvae_core.data.Batches`; None: them.
    """

    dataset: Dataset
    source: ImageSource
    training: np.ndarray
    validation: np.ndarray
    regularizer: Regularizer | None = None
    record: DataRecord | None = None
    notes: tuple[str, ...] = ()
    conditions: Conditions | None = None
    observe: Observe | None = None

    @property
    def shape(self) -> Shape3:
        """Shape [H, W, C] of an image."""
        return self.source.shape

    def training_images(self, config: Config) -> Iterator[np.ndarray]:
        """The images to train on [b, H, W, C] in order, not augmented."""
        size = min(256, len(self.training))
        batches = Batches(
            self.source,
            self.dataset,
            indices=self.training,
            batch_size=size,
            seed=config.train.seed,
        )
        return (batches.batch(step).images for step in range(batches.steps_per_epoch))

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
            conditions=self.conditions,
            observe=self.observe,
        )

    def validation_batches(self, config: Config) -> Callable[[], Iterator[Batch]] | None:
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
            conditions=self.conditions,
            observe=self.observe,
        )
        return lambda: (batches.batch(step) for step in range(batches.steps_per_epoch))


@dataclasses.dataclass(frozen=True)
class Earlier:
    """What a run that is resumed was started with.

    Args:
        run: its folder, for messages.
        held_out: the images held out; None: they are chosen anew.
        record: what was recorded of its images; None: nothing was.
        allow_changed_data: go on though they are others now.
    """

    run: Path
    held_out: ValidationRecord | None = None
    record: DataRecord | None = None
    allow_changed_data: bool = False


def open_images(
    config: Config,
    earlier: Earlier | None = None,
    dataset: Dataset | None = None,
    progress: Progress | None = None,
) -> Images:
    """Open the data set and divide its training split.

    Args:
        config: gives `data` and the options of the division.
        earlier: what a run that is resumed was started with.
        dataset: the data set that `data` stands for, where it is open already.
        progress: called with the bytes done and the total (or None) during a download.

    Raises:
        DataError: the data set cannot be read, or has too few images.
        ConfigError: the images are not what the configuration says, or not those of the run; or
            early stopping is asked for and nothing is held out.
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
    prints = {SPLIT: fingerprint(source)}
    keys = dataset.keys(SPLIT)
    change = ""
    if earlier is not None and earlier.record is not None:
        if not earlier.allow_changed_data:
            check_unchanged(earlier.record.training, prints[SPLIT], earlier.run)
        change = changed(earlier.record.training, prints[SPLIT])
    training, validation = _divided(config, len(source), keys)
    if earlier is not None and earlier.held_out is not None:
        if keys is None or not change:
            kept = _kept(earlier.run, earlier.held_out, earlier.record, prints[SPLIT])
            unknown = keys is not None and earlier.record is None
            if unknown and not np.array_equal(kept, validation):
                raise ConfigError(
                    f"The run in {earlier.run} held out other images than data.split_by: "
                    f"{config.data.to_dict().get('split_by')} chooses from those that are there.",
                    "If it is of an older version, write split_by: position into the section data "
                    "of its config.yaml; else start a new run in another --output.",
                )
            validation = kept
        training = np.setdiff1d(np.arange(len(source)), validation)
    notes = [*dataset.notes()]
    if keys is not None:
        notes += _look_at_others(dataset, prints)
        notes += _look_at_validation(dataset, prints[SPLIT], training, validation)
    if change:
        notes.append(f"The run goes on with other training images: {change}.")
    return Images(
        dataset,
        source,
        training,
        validation,
        _regularizer(config, dataset),
        DataRecord(prints),
        tuple(notes),
        open_conditions(config.model.condition_values, dataset, SPLIT, len(source)),
        observation(config),
    )


def _divided(
    config: Config, count: int, keys: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of training and validation images."""
    fraction, seed = config.train.validation_fraction, config.train.seed
    if keys is None:
        return split_validation(count, fraction, seed)
    return hold_out(keys, fraction, seed, "validation")


def _kept(
    run: Path, held_out: ValidationRecord, record: DataRecord | None, now: Fingerprint
) -> np.ndarray:
    """Where the images are now that were held out when the run was started.

    Raises:
        BadInputError: they are none of the images that there were.
        DataError: one is not there any more, and nothing is known of the images.
    """
    indices, sha256, digests = held_out.indices, held_out.sha256, held_out.digests
    before = None if record is None else record.training
    if sha256 is None and before is not None and before.digests is not None:  # an older version's
        _check_among(indices, before.images, run)
        sha256, digests = before.sha256, before.digests[indices]
    if sha256 == now.sha256:
        _check_among(indices, now.images, run)
        return indices
    if digests is not None and now.digests is not None:
        return np.flatnonzero(np.isin(now.digests, digests))
    if len(indices) and (indices.min() < 0 or indices.max() >= now.images):
        raise DataError(
            f"The data set has {now.images} training images, but image {int(indices.max())} "
            "was held out when the run was started: the data have changed.",
            "Resume with the data the run was started with.",
        )
    return indices


def _check_among(indices: np.ndarray, images: int, run: Path) -> None:
    if len(indices) and not 0 <= indices.min() <= indices.max() < images:
        raise BadInputError(
            f"{VALIDATION_FILE} of the run in {run} is damaged: it names others than the {images} "
            "images that there were.",
            "Remove it to have the validation images drawn again from train.seed.",
        )


def _look_at_others(dataset: Dataset, prints: dict[str, Fingerprint]) -> list[str]:
    """Read the other splits, add their fingerprints, and tell of images that two of them share."""
    told = []
    for split in dataset.splits:
        if split not in prints:
            try:
                prints[split] = fingerprint(dataset.load(split))
            except HvaeError as error:  # which harms no training
                told.append(f"Warning: the split {split} cannot be read: {error}")
    return [*told, *shared_images(dataset, prints)]


def _look_at_validation(
    dataset: Dataset, read: Fingerprint, training: np.ndarray, validation: np.ndarray
) -> list[str]:
    """Tell of validation images that are trained on under another name."""
    if read.digests is None:
        return []
    copies = validation[np.isin(read.digests[validation], read.digests[training])]
    if not len(copies):
        return []
    return [
        f"Warning: {len(copies):,} of {len(validation):,} validation images are trained on too, "
        f"pixel for pixel, such as {dataset.image_name(SPLIT, int(copies[0]))}; "
        "data.split_by=content keeps copies together."
    ]


def observation(config: Config) -> Observation | None:
    """What the encoder sees of the images; None: all of them.

    Raises:
        ConfigError: it has channels for more than an image, and there is no measurement.
    """
    measurement = config.build_measurement()
    if measurement is None:
        channels, seen = config.model.image_channels, config.model.input_shape[-1]
        if seen != channels:
            raise ConfigError(
                f"model.input_channels is {seen} and an image has {channels}, but measurement is "
                "none, so that nothing is there for the encoder to see in the others.",
                "Set measurement, such as to columns:0.25, or model.input_channels to null.",
            )
        return None
    return Observation(measurement, config.model.input_shape[-1])


def _regularizer(config: Config, dataset: Dataset) -> Regularizer | None:
    if config.regularizer is None:
        return None
    levels = config.build_likelihood().levels
    return config.regularizer.build(dataset, levels)
