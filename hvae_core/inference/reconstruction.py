"""Reconstructing images from their leading latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import (
    check_count,
    check_images,
    check_noise,
    check_temperature,
)
from hvae_core.inference.decoding import decode_rows
from hvae_core.inference.encoding import OUTPUTS
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, given_or_drawn, pixel_noise


def reconstruct(
    engine: Engine,
    x: Any,
    latents: int | None = None,
    seed: int = 0,
    temperature: float | Sequence[float] | None = 1.0,
    noise: Sequence[Any] | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
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

    Returns:
        [B, H, W, C] in native values.

    Raises:
        BadInputError: the images or an argument do not fit the model.
    """
    images = check_images(engine, x)
    layers = len(engine.latent_shapes)
    count = layers if latents is None else check_count(latents, "latents", 0)
    if count > layers:
        raise BadInputError(f"latents is {count}; the model has {layers} latent layers.")
    scale = check_temperature(temperature, layers)
    given = check_noise(engine, noise, len(images))

    if count == layers and engine.is_eager:
        return np.concatenate(
            [_one_pass(engine, images, given, rows, seed)[:valid]
             for rows, valid in batch_rows(len(images), batch_size)]
        )  # fmt: skip
    # The program of `encode`, so that the latents have the same bits, and then that of `decode`: a
    # compiler may round the two in one program in another way. Exports of an older hvae have but
    # the latents themselves.
    program = Infer(OUTPUTS, count)
    if count and not engine.gives(program):
        program = Infer(("latent",), count)
    results = []
    for rows, valid in batch_rows(len(images), batch_size):
        normal = given_or_drawn(engine, given, rows, seed)
        kept = []
        if count:
            # The noise of the layers that are drawn from the prior does not touch the ones kept.
            inputs = {"images": images[rows], "noise": normal[:count]}
            kept = engine.run(program, inputs)["latent"]
        z = [*kept, *[None] * (layers - count)]
        results.append(decode_rows(engine, z, normal, rows, seed, scale)[:valid])
    return np.concatenate(results)


def _one_pass(
    engine: Engine, images: np.ndarray, given: list[np.ndarray] | None, rows: np.ndarray, seed: int
) -> np.ndarray:
    """A batch from all its latents: the hierarchy is gone through once."""
    inputs = {
        "images": images[rows],
        "noise": given_or_drawn(engine, given, rows, seed),
        "pixels": pixel_noise(engine, rows, seed),
    }
    images = engine.run(Infer(("reconstruction",)), inputs)["reconstruction"]
    return images.astype(engine.image_values.dtype)
