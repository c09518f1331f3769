"""Reconstructing images from their leading latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import (
    check_batch,
    check_count,
    check_noise,
    check_seed,
    check_temperature,
    refuse_more_than_images,
)
from hvae_core.inference.decoding import decode_rows
from hvae_core.inference.encoding import OUTPUTS
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, given_or_drawn, pixel_noise
from hvae_core.inference.tiles import Sides, Tiling, check_whole_images, sized
from hvae_core.inference.watching import counting
from hvae_core.interfaces import Batch


def reconstruct(
    engine: Engine,
    x: Any,
    latents: int | None = None,
    seed: int = 0,
    temperature: float | Sequence[float] | None = 1.0,
    noise: Sequence[Any] | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    tile: Sides | None = None,
    overlap: Sides | None = None,
    condition: Any = None,
    inputs: Any = None,
) -> np.ndarray:
    """Draw images from the latents of ``x``: `encode`, then `decode` with the same seed.

    Args:
        engine: runs the model.
        x: images [B, H, W, C].
        latents: so many leading (coarsest) latents come from the posterior, the rest from the
            prior; by default all come from the posterior.
        seed: of the latents and the pixels; image ``i`` depends on the seed and ``i`` alone.
        temperature: factor of the prior's standard deviation, for the latents drawn from it; or
            one for each layer.
        noise: standard-normal arrays [B, h, w, c], one for each latent layer, coarsest first, in
            place of the seeded ones.
        batch_size: images computed at a time.
        tile: compute images of any size in tiles of this height and width, or squares of this
            side, one at a time: memory beside that for the images is bounded. What is farther from
            the seams than the model sees is what ``at_size`` gives for the whole image with the
            same seed, but for rounding.
        overlap: pixels that neighbouring tiles share, half of them kept from each; a quarter of the
            tile if None, as the tile is the model's own size if only this is given.
        condition: of a conditional model, see `ConditionValues.encode`.
        inputs: [B, H, W, C'], what the encoder sees in place of the images.

    Returns:
        [B, H, W, C] in native values.

    Raises:
        BadInputError: the images or an argument do not fit the model.
    """
    tiled = tile is not None or overlap is not None
    if tiled:
        refuse_more_than_images(engine, condition, inputs)
    images = (
        Batch(check_whole_images(engine, x)) if tiled else check_batch(engine, x, condition, inputs)
    )
    layers = len(engine.latent_shapes)
    count = layers if latents is None else check_count(latents, "latents", 0)
    if count > layers:
        raise BadInputError(f"latents is {count}; the model has {layers} latent layers.")
    scale = check_temperature(temperature, layers)
    check_seed(seed)
    if tiled:
        tiling = Tiling(sized(engine), images.images.shape[1:3], tile, overlap)
        return _in_tiles(tiling, images.images, count, scale, seed, noise)
    given = check_noise(engine, noise, len(images))
    results = []
    for rows, valid in batch_rows(len(images), batch_size):
        normal = given_or_drawn(engine, given, rows, seed)
        uniform = pixel_noise(engine, rows, seed)
        drawn = _rows(engine, images[rows], normal, uniform, count, scale)
        results.append(drawn[:valid])
    return np.concatenate(results)


def _rows(
    engine: Engine,
    images: Batch,
    normal: list[np.ndarray],
    uniform: np.ndarray,
    count: int,
    scale: np.ndarray,
) -> np.ndarray:
    """Reconstructions of one batch, the first ``count`` latents being the posterior's."""
    layers = len(engine.latent_shapes)
    if count == layers and engine.is_eager:
        # The hierarchy is gone through once.
        inputs = {**images.named(), "noise": normal, "pixels": uniform}
        drawn = engine.run(Infer(("reconstruction",)), inputs)["reconstruction"]
        return drawn.astype(engine.image_values.dtype)
    # The program of `encode`, so that the latents have the same bits, and then that of `decode`: a
    # compiler may round the two in one program in another way. Exports of an older hvae have but
    # the latents themselves.
    program = Infer(OUTPUTS, count)
    if count and not engine.gives(program):
        program = Infer(("latent",), count)
    kept = []
    if count:
        # The noise of the layers that are drawn from the prior does not touch the ones kept.
        kept = engine.run(program, {**images.named(), "noise": normal[:count]})["latent"]
    z = [*kept, *[None] * (layers - count)]
    return decode_rows(engine, z, normal, uniform, scale, condition=images.condition)


def _in_tiles(
    tiling: Tiling,
    images: np.ndarray,
    count: int,
    scale: np.ndarray,
    seed: int,
    noise: Sequence[Any] | None,
) -> np.ndarray:
    engine = tiling.engine
    given = check_noise(engine, noise, len(images), tiling.latent_shapes)
    result = np.empty(images.shape, engine.image_values.dtype)
    with counting(len(images) * len(tiling.tiles)) as advance:
        for place, image in enumerate(images):
            whole = tiling.whole(image)
            latent_noise = tiling.noise(place, seed, given)
            pixels = tiling.pixel_noise(place, seed)
            for tile in tiling.tiles:
                normal = tiling.at_tile(latent_noise, tile)
                uniform = pixels.part(0, tile.computed)[None]
                drawn = _rows(
                    engine, Batch(whole[tile.computed][None]), normal, uniform, count, scale
                )
                tiling.put(result[place], tile, drawn[0])
                advance(1)
    return result
