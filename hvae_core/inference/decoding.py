"""Latents to images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import (
    check_condition,
    check_guidance,
    check_noise,
    check_seed,
    check_temperature,
)
from hvae_core.inference.engine import Engine
from hvae_core.inference.latents import as_latents
from hvae_core.inference.programs import Generate
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, given_or_drawn, pixel_noise

Pixels = Literal["sample", "mean", "mode"]


def decode(
    engine: Engine,
    latents: Any,
    temperature: float | Sequence[float] | None = 1.0,
    seed: int = 0,
    pixels: Pixels = "sample",
    noise: Sequence[Any] | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    condition: Any = None,
    guidance: float | None = None,
) -> np.ndarray:
    """Images from latents; layers that are not given are drawn from the prior.

    With the seed and the batch size of an encoding of all layers, the images are those of
    `reconstruct`, bit for bit.

    Args:
        engine: runs the model.
        latents: `Latents`, or a list with an array [B, h, w, c] for each layer, coarsest first. A
            layer that is None, and those after the last, come from the prior.
        temperature: factor of the prior's standard deviation, for the layers drawn from it; or one
            for each layer.
        seed: of the drawn layers and the pixels; image ``i`` depends on the seed and ``i`` alone.
        pixels: ``sample``: drawn from the likelihood; ``mean``: its mean, that of integers rounded;
            ``mode``: what it draws when its every random number is 1/2: the likelier value of a
            Bernoulli, the centre of a mixture's heaviest component.
        noise: standard-normal arrays [B, h, w, c], one for each latent layer of the model, in place
            of the seeded ones of the layers drawn from the prior.
        batch_size: images computed at a time.
        condition: of a conditional model, see `ConditionValues.encode`.
        guidance: of the layers drawn from the prior, see `HierarchicalNetwork.generate`.

    Returns:
        [B, H, W, C] in native values.

    Raises:
        BadInputError: the latents or an argument do not fit the model.
    """
    z, count = _check_latents(engine, latents)
    if pixels not in ("sample", "mean", "mode"):
        raise BadInputError(f"pixels is {pixels!r}; it must be sample, mean or mode.")
    scale = check_temperature(temperature, len(z))
    check_seed(seed)
    given = check_noise(engine, noise, count)
    encoded = check_condition(engine, condition, count)
    strength = check_guidance(engine, guidance, condition)
    results = []
    for rows, valid in batch_rows(count, batch_size):
        part = [None if layer is None else layer[rows] for layer in z]
        normal = None
        if any(layer is None for layer in z):
            normal = given_or_drawn(engine, given, rows, seed)
        uniform = None if pixels == "mean" else pixel_noise(engine, rows, seed)
        own = None if encoded is None else encoded[rows]
        drawn = decode_rows(engine, part, normal, uniform, scale, pixels, own, strength)
        results.append(drawn[:valid])
    return np.concatenate(results)


def decode_rows(
    engine: Engine,
    z: Sequence[np.ndarray | None],
    normal: Sequence[np.ndarray] | None,
    uniform: np.ndarray | None,
    temperature: np.ndarray,
    pixels: Pixels = "sample",
    condition: np.ndarray | None = None,
    guidance: float | None = None,
) -> np.ndarray:
    """Images [b, H, W, C] of one batch.

    Args:
        engine: runs the model.
        z: for each layer the latent [b, h, w, c], or None: drawn from the prior.
        normal: noise of all layers, of which that of the drawn ones is used; None: none is drawn.
        uniform: noise of the pixels [b, H, W, n], see `pixel_noise`; None for their mean.
        temperature: a number, or [L].
        pixels: see `decode`.
        condition: [b, ...] as graphs take it, where the model has one.
        guidance: see `decode`.
    """
    inputs: dict[str, Any] = {
        "noise": [
            layer if layer is not None else normal[place]  # type: ignore[index]
            for place, layer in enumerate(z)
        ],
        "given": np.array([layer is not None for layer in z], np.float32),
        "temperature": temperature,
        **conditioned(condition, guidance),
    }
    if uniform is None:
        means = engine.run(Generate(("mean",)), inputs)["mean"]
        return engine.image_values.rounded(means)
    inputs["pixels"] = uniform if pixels == "sample" else np.full(uniform.shape, 0.5, np.float32)
    images = engine.run(Generate(("images",)), inputs)["images"]
    return images.astype(engine.image_values.dtype)


def conditioned(condition: np.ndarray | None, guidance: float | None = None) -> dict[str, Any]:
    """The inputs of `Generate` that there are of a condition [b, ...] and its guidance."""
    found: dict[str, Any] = {} if condition is None else {"condition": condition}
    return found if guidance is None else {**found, "guidance": np.array([guidance], np.float32)}


def _check_latents(engine: Engine, latents: Any) -> tuple[list[np.ndarray | None], int]:
    """An array or None for each layer of the model, and the number of images."""
    known = as_latents(latents)
    shapes = engine.latent_shapes
    if len(known.z) > len(shapes):
        raise BadInputError(
            f"The latents have {len(known.z)} layers; the model has {len(shapes)}.",
            "They are another model's.",
        )
    for place, layer in enumerate(known.z):
        if layer is None:
            continue
        if layer.shape[1:] != tuple(shapes[place]):
            raise BadInputError(
                f"z[{place}] has shape {list(layer.shape)}; layer {place} of the model needs "
                f"{[len(known), *shapes[place]]}.",
                "The latents are another model's, or were changed in shape.",
            )
        if not np.isfinite(layer).all():
            raise BadInputError(f"z[{place}] holds values that are not finite.")
    return [*known.z, *[None] * (len(shapes) - len(known.z))], len(known)
