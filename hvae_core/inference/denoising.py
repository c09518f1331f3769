"""Clean images from noisy ones, under a noise model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import (
    check_batch,
    check_count,
    check_seed,
    refuse_more_than_images,
)
from hvae_core.inference.decoding import conditioned
from hvae_core.inference.engine import Engine
from hvae_core.inference.noise_of_tiles import Rectangles
from hvae_core.inference.programs import Complete, Generate, Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, DRAW_STRIDE, batch_rows, latent_noise
from hvae_core.inference.tiles import Sides, Tile, Tiling, check_whole_images, sized
from hvae_core.inference.watching import counting
from hvae_core.interfaces import Batch
from hvae_core.prob.moments import RunningMoments

#: the latents' noise of the draws of these numbers
NoiseOf = Callable[[np.ndarray], list[np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Denoised:
    """What a posterior says of the clean images, in native units.

    Args:
        mean: over the draws, float32 [B, H, W, C]: the estimate of least squared error.
        std: over the draws, float32 [B, H, W, C]: how much they differ at each value; their
            standard deviation, of n draws by n - 1, and 0 of a single one.
        draws: the first of the draws, float32 [K, B, H, W, C]: clean images, any of which may have
            been the true one.
    """

    mean: np.ndarray
    std: np.ndarray
    draws: np.ndarray

    def __repr__(self) -> str:
        kept, images = self.draws.shape[:2]
        return f"Denoised(images={images}, draws={kept}, shape={list(self.mean.shape[1:])})"


def denoise(
    engine: Engine,
    y: Any,
    n: int = 100,
    seed: int = 0,
    keep: int | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    tile: Sides | None = None,
    overlap: Sides | None = None,
    condition: Any = None,
    inputs: Any = None,
) -> Denoised:
    """Draw clean images from the posterior of a noisy one (Prakash et al. 2021, DivNoising).

    The encoder sees an image once, whatever ``n`` is; in an exported model it sees it for each
    draw.

    Args:
        engine: runs the model, whose likelihood is a noise model.
        y: noisy images [B, H, W, C] in native values.
        n: draws for each image.
        seed: draw ``k`` of image ``i`` depends on the seed, ``k`` and ``i`` alone.
        keep: so many draws are returned; all of them if None.
        batch_size: draws computed at a time.
        tile: compute images of any size in tiles, see
            `hvae_core.inference.reconstruction.reconstruct`.
        overlap: pixels that neighbouring tiles share.
        condition: of a conditional model, see `ConditionValues.encode`.
        inputs: [B, H, W, C'], what the encoder sees in place of the images.

    Raises:
        BadInputError: the model's likelihood is no noise model, or the images or an argument do not
            fit it.
    """
    count = check_count(n, "n")
    kept = count if keep is None else check_count(keep, "keep", 0)
    if kept > count:
        raise BadInputError(f"keep is {kept}; it must be at most n, which is {count}.")
    check_count(batch_size, "batch_size")
    check_seed(seed)
    likelihood = sized(engine).config.likelihood
    if not sized(engine).config.build_likelihood().denoises:
        raise BadInputError(
            f"The model's likelihood is {likelihood.name}, which tells no noise from the image.",
            "Train a model on noisy images with likelihood: noise-model.",
        )
    tiled = tile is not None or overlap is not None
    if tiled:
        refuse_more_than_images(engine, condition, inputs)
        images = Batch(check_whole_images(engine, y, "y"))
        tiling = Tiling(sized(engine), images.images.shape[1:3], tile, overlap)
    else:
        images = check_batch(engine, y, condition, inputs, name="y")
    mean = np.empty(images.images.shape, np.float32)
    std = np.empty_like(mean)
    draws = np.empty((kept, *images.images.shape), np.float32)
    parts = len(images) * (len(tiling.tiles) if tiled else 1)
    with counting(parts * count) as advance:
        for place, image in enumerate(images.images):
            if not tiled:
                noise_of = partial(_noise_of_image, engine, place, seed)
                noisy = images[place : place + 1]
                moments, first = _summed(engine, noisy, noise_of, count, kept, batch_size, advance)
                mean[place], std[place], draws[:, place] = moments.mean, moments.std(), first
                continue
            whole = tiling.whole(image)
            sources = [tiling.noise(place + k * DRAW_STRIDE, seed) for k in range(count)]
            for part in tiling.tiles:
                noise_of = partial(_noise_of_tile, tiling, part, sources)
                noisy = Batch(whole[part.computed][None])
                moments, first = _summed(
                    tiling.engine, noisy, noise_of, count, kept, batch_size, advance
                )
                tiling.put(mean[place], part, moments.mean)
                tiling.put(std[place], part, moments.std())
                tiling.put(draws[:, place], part, first)
    return Denoised(mean, std, draws)


def _noise_of_image(engine: Engine, place: int, seed: int, draws: np.ndarray) -> list[np.ndarray]:
    return latent_noise(engine, place + draws * DRAW_STRIDE, seed)


def _noise_of_tile(
    tiling: Tiling, tile: Tile, sources: Sequence[Rectangles], draws: np.ndarray
) -> list[np.ndarray]:
    each = [tiling.at_tile(sources[k], tile) for k in draws]
    return [np.concatenate(layer) for layer in zip(*each, strict=True)]


def _summed(
    engine: Engine,
    noisy: Batch,
    noise_of: NoiseOf,
    count: int,
    kept: int,
    batch_size: int,
    advance: Callable[[int], None],
) -> tuple[RunningMoments, np.ndarray]:
    """The moments of an image's draws, and the first of them [kept, H, W, C]."""
    moments = RunningMoments()
    first = np.empty((kept, *noisy.images.shape[1:]), np.float32)
    done = 0
    for draws in _draws(engine, noisy, noise_of, count, batch_size):
        moments.add(draws)
        room = min(len(draws), max(0, kept - done))
        first[done : done + room] = draws[:room]
        done += len(draws)
        advance(len(draws))
    return moments, first


def _draws(
    engine: Engine, noisy: Batch, noise_of: NoiseOf, count: int, batch_size: int
) -> Iterator[np.ndarray]:
    """Clean images [b, H, W, C] from a batch of one, ``count`` in all."""
    program = Complete(("mean",))
    features: list[np.ndarray] | None = None
    if engine.gives(program):
        seen = Batch(noisy.images, noisy.inputs)
        features = engine.run(Infer(("features",)), {**seen.named(), "noise": []})["features"]
    layers = len(engine.latent_shapes)
    for rows, valid in batch_rows(count, batch_size):
        repeated = noisy[np.zeros_like(rows)]
        condition = conditioned(repeated.condition)
        if features is not None:
            of_each = [scale.repeat(len(rows), axis=0) for scale in features]
            inputs = {"features": of_each, "noise": noise_of(rows), **condition}
            yield engine.run(program, inputs)["mean"][:valid]
            continue
        latents = engine.run(Infer(("latent",)), {**repeated.named(), "noise": noise_of(rows)})
        given = np.ones(layers, np.float32)
        inputs = {"noise": latents["latent"], "given": given, **condition}
        yield engine.run(Generate(("mean",)), inputs)["mean"][:valid]
