"""The figures of a model that completes images, beside those of two baselines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.evaluation.evaluate import check_numbers, check_split, evaluate_batches
from hvae_core.evaluation.image_metrics import check_ssim, coverage, psnr, ranks, ssim
from hvae_core.evaluation.verbs import Verbs
from hvae_core.inference.arguments import check_count
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE
from hvae_core.inference.watching import Listener, counting, watch_progress
from hvae_core.interfaces import Batch, ImageValues, Measurement
from hvae_core.interfaces.image_shapes import check_image_shape
from hvae_core.interfaces.values import check_image_values

if TYPE_CHECKING:
    from hvae_core.data import Conditions
    from hvae_core.interfaces import Dataset, ImageSource

#: of the intervals whose coverage is told
LEVELS = (0.5, 0.9)
#: training images that the mean image is of
MEAN_IMAGES = 2000


class _Figures:
    """Means over images, one batch after the other."""

    def __init__(self, values: ImageValues) -> None:
        self.values = values
        self.sums: dict[str, float] = {}
        self.count = 0
        self.places: list[np.ndarray] = []

    def add(self, truth: np.ndarray, mean: np.ndarray, draws: np.ndarray | None = None) -> None:
        """A batch: the truth and the estimates [B, H, W, C], and draws [n, B, H, W, C]."""
        self.count += len(truth)
        found = {"psnr_of_mean": psnr(mean, truth, self.values),
                 "ssim_of_mean": ssim(mean, truth, self.values)}  # fmt: skip
        if draws is not None:
            found["psnr_of_draws"] = psnr(draws, truth, self.values).mean(axis=0)
            found["ssim_of_draws"] = np.mean(
                [ssim(draw, truth, self.values) for draw in draws], axis=0
            )
        for name, of_images in found.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(of_images.sum())

    def means(self) -> dict[str, float]:
        """Over all images, with the coverage of the unknown pixels."""
        figures = {name: total / self.count for name, total in self.sums.items()}
        places = np.concatenate(self.places) if self.places else np.empty(0)
        return {**figures, **(coverage(places, LEVELS) if places.size else {})}


def _check_unadapted(unadapted: Verbs, model: Verbs) -> None:
    """Refuse a baseline of other images.

    Raises:
        BadInputError: says which.
    """
    of, wanted = (f"{list(one.image_shape)} in {one.image_values}" for one in (unadapted, model))
    if of != wanted:
        raise BadInputError(
            f"The unadapted model is of images {of}, the model of {wanted}.",
            "Give the model that it was before its encoder saw measurements.",
        )


def evaluate_completion(
    model: Verbs,
    dataset: Dataset,
    measurement: Measurement,
    split: str = "test",
    *,
    draws: int = 32,
    unadapted: Verbs | None = None,
    layers: int | float | None = None,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    limit: int | None = None,
    progress: Listener | None = None,
) -> dict[str, Any]:
    """How well a model completes the images of a split from a measurement of them.

    Args:
        model: the model.
        dataset: the data set.
        measurement: of its images; that of image i depends on the seed and i alone.
        split: which of its splits.
        draws: of each image.
        unadapted: the model before its encoder was trained on measurements, for the second
            baseline; None: there is none.
        layers: see `hvae_core.inference.completion.posterior_sample`.
        seed: of measurements and draws.
        batch_size: images at a time.
        limit: only the first so many images.
        progress: called with images done and images in all; None: whoever listens already, see
            `watch_progress`.

    Returns:
        ``psnr_of_mean`` and ``psnr_of_draws`` in dB, ``ssim_of_mean`` and ``ssim_of_draws``, means
        over the images; ``coverage_50`` and ``coverage_90``: the part of unknown values (of all,
        where none is unknown) in the draws' central intervals; ``baselines`` with the same figures
        where unknown pixels are those of the training images' mean (``mean_filled``) and of the
        unadapted model (``unadapted_encoder``); the bounds ``elbo`` (nats) and ``bits_per_dim`` of
        the posteriors of the measurements, where the model can be asked for them; ``dataset``,
        ``split``, ``images``, ``known``, the part of the pixels that was measured, ``draws`` and
        ``seconds``.

    Raises:
        BadInputError: there is no such split, a number is none or out of range, or the unadapted
            model is of other images.
        ConfigError: the images do not fit the model.
        MissingDependencyError: scikit-image is not installed.
    """
    # Data sets need pydantic, which sampling from an export does without.
    from hvae_core.data import open_conditions

    check_ssim()
    draws = check_count(draws, "draws")
    seed, batch_size, limit = check_numbers(seed, batch_size, limit)
    check_split(dataset, split)
    check_image_values(dataset.values, model.image_values)
    check_image_shape(dataset.shape, model.image_shape)
    if unadapted is not None:
        _check_unadapted(unadapted, model)
    started = time.perf_counter()
    values = model.image_values
    own, filled, other = (_Figures(values) for _ in range(3))
    source = dataset.load(split)
    mean_image = _mean_image(dataset, source)
    known = 0.0
    rng = np.random.default_rng(seed)
    conditions = open_conditions(model.condition_values, dataset, split, len(source))
    observed: list[Batch] = []
    with watch_progress(progress):
        for batch, y, mask in measured_batches(
            source, dataset, measurement, batch_size, seed, limit, conditions
        ):
            truth = batch.images
            if model.sees_inputs:
                seen = model.encoder_inputs(y, mask)
                observed.append(Batch(truth, seen, batch.condition))
            first = own.count
            known += float(mask.mean(axis=(1, 2)).sum())
            filled.add(truth, np.where(mask[..., None], y, mean_image))
            for asked, figures in ((model, own), (unadapted, other)):
                if asked is None:
                    continue
                # Its own seed a batch: draws number the images of a call from 0.
                drawn = asked.posterior_sample(
                    y, mask, draws, layers, seed=seed + first, batch_size=batch_size,
                    keep_known=measurement.exact, condition=asked_condition(asked, batch),
                )  # fmt: skip
                figures.add(truth, drawn.mean, drawn.images)
                judged = ~mask if not mask.all() else np.ones_like(mask)
                figures.places.append(ranks(drawn.images[:, judged], truth[judged], rng).ravel())
    baselines: dict[str, Any] = {"mean_filled": filled.means()}
    if unadapted is not None:
        baselines["unadapted_encoder"] = other.means()
    return {
        "dataset": dataset.info.title,
        "split": split,
        "images": own.count,
        "known": known / own.count,
        "draws": draws,
        **own.means(),
        **(_bounds(model, observed, seed) if observed else {}),
        "baselines": baselines,
        "seconds": time.perf_counter() - started,
    }


def asked_condition(model: Verbs, batch: Batch) -> np.ndarray | None:
    """The batch's condition, for a model that has one."""
    return None if model.condition_values is None else batch.condition


def _bounds(model: Verbs, batches: list[Batch], seed: int) -> dict[str, Any]:
    """The bounds on log p(x) of the posteriors of the measurements."""
    figures = evaluate_batches(model, batches, seed)
    return {name: figures[name] for name in ("elbo", "bits_per_dim") if name in figures}


def measured_batches(
    source: ImageSource,
    dataset: Dataset,
    measurement: Measurement,
    batch_size: int,
    seed: int = 0,
    limit: int | None = None,
    conditions: Conditions | None = None,
) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
    """The images of a source with a measurement of each, in order; tells how many are done.

    Yields:
        Images, measurements [b, H, W, C], and masks [b, H, W].
    """
    # Data sets need pydantic, which sampling from an export does without.
    from hvae_core.data import evaluation_batches
    from hvae_core.data.measuring import measured

    total = min(limit or len(source), len(source))
    done = 0
    with counting(total) as advance:
        for batch in evaluation_batches(source, dataset, batch_size, seed, limit, conditions):
            images = batch.images
            y, mask = measured(measurement, images, range(done, done + len(images)), seed)
            yield batch, y, mask
            done += len(images)
            advance(len(images))


def _mean_image(dataset: Dataset, others: ImageSource) -> np.ndarray:
    """The mean of the first training images [H, W, C], or of others where there are none."""
    source = dataset.load("train") if "train" in dataset.splits else others
    images = source.batch(np.arange(min(len(source), MEAN_IMAGES)))
    mean: np.ndarray = images.mean(axis=0, dtype=np.float64)
    return mean
