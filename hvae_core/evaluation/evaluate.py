"""The figures of a model on a data set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import BadInputError, did_you_mean
from hvae_core.evaluation.bounds import log_likelihood
from hvae_core.evaluation.kept_bounds import KeptBounds
from hvae_core.inference.arguments import check_count, check_seed
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, latent_noise, pad_rows
from hvae_core.inference.watching import Listener, counting, watch_progress
from hvae_core.interfaces import Batch
from hvae_core.interfaces.image_shapes import check_image_shape
from hvae_core.interfaces.values import check_image_values
from hvae_core.prob.elbo import bits_per_dim
from hvae_core.prob.moments import RunningMoments

if TYPE_CHECKING:
    from hvae_core.data.batches import Observe
    from hvae_core.interfaces import Dataset

#: a unit is active if its posterior mean varies over the data by more than this (Burda et al. 2016)
ACTIVE_VARIANCE = 0.01


def evaluate_batches(
    engine: Engine,
    batches: Iterable[Batch | np.ndarray],
    seed: int = 0,
    each: Callable[[np.ndarray], None] | None = None,
) -> dict[str, Any]:
    """Mean figures over images, each image counted once whatever the batches' sizes.

    Args:
        engine: runs the model.
        batches: images [b, H, W, C], or a `Batch` of them, of one size but for a smaller last one.
        seed: of the noise; image ``i`` of the whole sequence has noise of its own.
        each: called with the ELBO [b] of each batch's images, in nats.

    Returns:
        ``images``; means ``elbo``, ``log_likelihood``, ``kl`` (nats), ``bits_per_dim``,
        ``kl_per_layer`` [L]; ``elbo_standard_error`` and ``bits_per_dim_standard_error``;
        ``active_units`` and ``units`` [L]. Continuous images have no bits/dim.

    Raises:
        BadInputError: there is no image.
    """
    program = Infer(("log_likelihood", "kl_per_layer", "posterior_mean"))
    figures: dict[str, RunningMoments] = {}
    means = [RunningMoments() for _ in engine.latent_shapes]
    is_discrete = engine.image_values.is_discrete
    size = start = 0
    for given in batches:
        batch = Batch.of(given)
        count = len(batch)
        size = max(size, count)
        rows = np.arange(start, start + size)
        padded = {name: pad_rows(array, size) for name, array in batch.named().items()}
        noise = latent_noise(engine, rows, seed)
        out = engine.run(program, {**padded, "noise": noise})
        kl = out["kl_per_layer"][:count]
        bound = out["log_likelihood"][:count] - kl.sum(axis=-1)
        values = {
            "elbo": bound,
            "log_likelihood": out["log_likelihood"][:count],
            "kl": kl.sum(axis=-1),
            **({"bits_per_dim": bits_per_dim(bound, engine.image_shape)} if is_discrete else {}),
            "kl_per_layer": kl,
        }
        for name, value in values.items():
            figures.setdefault(name, RunningMoments()).add(value)
        for moments, mean in zip(means, out["posterior_mean"], strict=True):
            moments.add(mean[:count].reshape(count, -1))
        start += count
        if each is not None:
            each(bound)
    if not figures:
        raise BadInputError("There are no images to evaluate on.")
    active = [int((moments.variance() > ACTIVE_VARIANCE).sum()) for moments in means]
    bounds = [name for name in ("elbo", "bits_per_dim") if name in figures]
    return {
        "images": start,
        **{name: _plain(moments.mean) for name, moments in figures.items()},
        **{f"{name}_standard_error": _plain(figures[name].standard_error()) for name in bounds},
        "active_units": active,
        "units": [math.prod(shape) for shape in engine.latent_shapes],
    }


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


def evaluate(
    engine: Engine,
    dataset: Dataset,
    split: str = "test",
    *,
    importance_samples: int | None = None,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    limit: int | None = None,
    observe: Observe | None = None,
    bounds: str | Path | None = None,
    progress: Listener | None = None,
) -> dict[str, Any]:
    """The figures of a model on a split of a data set.

    Args:
        engine: runs the model.
        dataset: the data set.
        split: which of its splits.
        importance_samples: also the importance-weighted bound with so many draws an image.
        seed: of noise and binarization.
        batch_size: images at a time.
        limit: only the first so many images.
        observe: makes of images what the encoder sees of them, see `hvae_core.data.Batches`.
        bounds: a JSON file that keeps each image's bounds, written after each batch; an evaluation
            that was interrupted goes on from it, see `KeptBounds`.
        progress: called with the draws made and those to be made: one an image for the bound, and
            ``importance_samples`` more for each image whose weighted bound is not in the file;
            None: whoever listens already, see `watch_progress`.

    Returns:
        What `evaluate_batches` gives, with ``dataset``, ``split``, ``unit``, ``seconds``, and
        with importance samples ``importance_weighted`` (nats), its standard error, its bits/dim
        and their number. Of a conditional model ``bound_on`` says that all bounds are of
        p(x | condition), the data set's.

    Raises:
        BadInputError: there is no such split, a number is none or out of range, or the file is of
            another evaluation.
        ConfigError: the images do not fit the model.
    """
    # Data sets need pydantic, which sampling from an export does without.
    from hvae_core.data import evaluation_batches, open_conditions

    draws = 0
    if importance_samples is not None:
        draws = check_count(importance_samples, "importance_samples")
    seed, batch_size, limit = check_numbers(seed, batch_size, limit)
    check_split(dataset, split)
    check_image_values(dataset.values, engine.image_values)
    source = dataset.load(split)
    check_image_shape(source.shape, engine.image_shape)
    total = min(limit or len(source), len(source))
    conditions = open_conditions(engine.condition_values, dataset, split, len(source))

    def batches() -> Iterator[Batch]:
        return evaluation_batches(
            source,
            dataset,
            batch_size=batch_size,
            seed=seed,
            limit=limit,
            conditions=conditions,
            observe=observe,
        )

    about = {
        "dataset": dataset.info.title,
        "split": split,
        "images": int(total),
        "seed": seed,
        **({"importance_samples": draws} if draws else {}),
    }
    kept = None if bounds is None else KeptBounds(bounds, about)
    known = np.zeros(0) if kept is None else kept.weighted
    in_all = total + draws * max(0, total - len(known))
    started = time.perf_counter()
    elbo: list[np.ndarray] = []
    found = [known]
    with watch_progress(progress), counting(in_all) as advance:

        def keep(bounds: np.ndarray) -> None:
            elbo.append(bounds)
            advance(len(bounds))

        figures = evaluate_batches(engine, batches(), seed, keep)
        if kept is not None:
            kept.begin(np.concatenate(elbo))
        if draws:
            for new in _weighted(engine, batches(), draws, seed, batch_size, len(known)):
                found.append(new)
                if kept is not None:
                    kept.add(new)
                advance(draws * len(new))
    if draws:
        moments = RunningMoments()
        moments.add(np.concatenate(found))
        figures["importance_weighted"] = _plain(moments.mean)
        figures["importance_weighted_standard_error"] = _plain(moments.standard_error())
        figures["importance_samples"] = draws
        if engine.image_values.is_discrete:
            figures["importance_weighted_bits_per_dim"] = float(
                bits_per_dim(moments.mean, engine.image_shape)
            )
    return {
        "dataset": dataset.info.title,
        "split": split,
        "unit": engine.likelihood.unit,
        **({"bound_on": "log p(x | condition)"} if conditions is not None else {}),
        **figures,
        "seconds": time.perf_counter() - started,
    }


def _weighted(
    engine: Engine,
    batches: Iterable[Batch],
    draws: int,
    seed: int,
    batch_size: int,
    known: int,
) -> Iterator[np.ndarray]:
    """The importance-weighted bounds [b] of the images after the first ``known``."""
    first = 0
    for batch in batches:
        done = min(len(batch), max(0, known - first))
        if done < len(batch):
            yield log_likelihood(engine, batch[done:], draws, seed, batch_size, first + done)
        first += len(batch)


def check_numbers(seed: Any, batch_size: Any, limit: Any) -> tuple[int, int, int | None]:
    """The numbers that an evaluation goes by, or `BadInputError`: one is none or out of range."""
    images = None if limit is None else check_count(limit, "limit")
    return check_seed(seed), check_count(batch_size, "batch_size"), images


def check_split(dataset: Dataset, split: str) -> None:
    """Raise `BadInputError` if the data set has no such split."""
    if split not in dataset.splits:
        raise BadInputError(
            f"The data set has no split {split!r}.", did_you_mean(split, dataset.splits)
        )
