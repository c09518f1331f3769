"""Walking from one image to another through the latents.

A latent of a hierarchy has a prior that depends on the latents above it, so mixing the latents
themselves would leave the layers that follow with values their prior never expected. What is
mixed here is each latent's *standardised* value ``(z - mu_p) / sigma_p``: the noise with which the
prior would have drawn it. Both ends are then exactly the two images' latents, and every step
between them is decoded from the top with priors that fit its own path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import check_batch, check_count
from hvae_core.inference.decoding import conditioned
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Generate, Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, latent_noise
from hvae_core.interfaces import Batch


def mix(
    a: np.ndarray, b: np.ndarray, weight: float, path: Literal["spherical", "linear"] = "spherical"
) -> np.ndarray:
    """The point at ``weight`` (0 to 1) on the way from ``a`` to ``b``, both [...].

    The spherical path turns the direction evenly and changes the length evenly, so that mixtures
    of standard-normal vectors stay as long as such vectors are. Where the two are nearly parallel,
    or one is zero, it is the straight line.
    """
    straight = (1 - weight) * a + weight * b
    if path == "linear":
        return straight
    length_a, length_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if length_a == 0 or length_b == 0:
        return straight
    cosine = np.clip(float(np.vdot(a, b)) / (length_a * length_b), -1, 1)
    angle = float(np.arccos(cosine))
    # Opposite vectors lie on no single great circle.
    if np.sin(angle) < 1e-4:
        return straight
    direction = (
        np.sin((1 - weight) * angle) * a / length_a + np.sin(weight * angle) * b / length_b
    ) / np.sin(angle)
    return direction * ((1 - weight) * length_a + weight * length_b)


def interpolate(
    engine: Engine,
    a: Any,
    b: Any,
    steps: int = 8,
    seed: int = 0,
    path: Literal["spherical", "linear"] = "spherical",
    batch_size: int = DEFAULT_BATCH_SIZE,
    condition: Any = None,
    inputs: Sequence[Any] | None = None,
) -> np.ndarray:
    """Images on the way from ``a`` to ``b``.

    Both images' posteriors are drawn from with the same noise, so that what the two leave open
    stays the same along the way. The pixels are the likelihood's mean.

    Args:
        engine: runs the model.
        a: an image [H, W, C], or several [B, H, W, C].
        b: as many images, to which the ways lead.
        steps: images on each way, both ends (reconstructions) included; at least 2.
        seed: of the posteriors' noise.
        path: how the standardised latents of a layer are mixed, see `mix`.
        batch_size: images computed at a time.
        condition: of a conditional model: that of each way, which both its ends are taken to have.
        inputs: two, what the encoder sees in place of ``a`` and of ``b``: [B, H, W, C'], or
            [H, W, C'] of one image.

    Returns:
        [steps, H, W, C] in native values, or [B, steps, H, W, C] for several.

    Raises:
        BadInputError: the images do not fit the model or each other, or ``steps`` is below 2.
    """
    single = np.ndim(a) == 3
    seen = (None, None) if inputs is None else inputs
    first = check_batch(engine, _batched(a), condition, _batched(seen[0]), name="a")
    second = check_batch(engine, _batched(b), condition, _batched(seen[1]), name="b")
    if len(first) != len(second):
        raise BadInputError(
            f"a holds {len(first)} images and b {len(second)}; give as many of each."
        )
    steps = check_count(steps, "steps", 2)
    if path not in ("spherical", "linear"):
        raise BadInputError(f"path is {path!r}; it must be spherical or linear.")

    start = _standardised(engine, first, seed, batch_size)
    end = _standardised(engine, second, seed, batch_size)
    weights = np.linspace(0, 1, steps)
    noise = [
        np.stack([mix(u, v, w, path) for u, v in zip(zs, ze, strict=True) for w in weights])
        for zs, ze in zip(start, end, strict=True)
    ]
    own = None if first.condition is None else first.condition.repeat(steps, axis=0)
    images = _decode(engine, noise, batch_size, own)
    images = images.reshape(len(first), steps, *images.shape[1:])
    return images[0] if single else images


def _batched(images: Any) -> Any:
    """An image as a batch of one; a batch, or None, as it is."""
    return np.asarray(images)[None] if np.ndim(images) == 3 else images


def _standardised(engine: Engine, images: Batch, seed: int, batch_size: int) -> list[np.ndarray]:
    """The noise with which the prior would draw the images' latents: L arrays [B, h, w, c]."""
    program = Infer(("standardised",))
    parts = []
    for rows, valid in batch_rows(len(images), batch_size):
        inputs = {**images[rows].named(), "noise": latent_noise(engine, rows, seed)}
        layers = engine.run(program, inputs)["standardised"]
        parts.append([layer[:valid] for layer in layers])
    return [np.concatenate(layer) for layer in zip(*parts, strict=True)]


def _decode(
    engine: Engine, noise: list[np.ndarray], batch_size: int, condition: np.ndarray | None
) -> np.ndarray:
    """The likelihood's mean for given noise, [B, H, W, C] in native values."""
    program = Generate(("mean",))
    parts = []
    for rows, valid in batch_rows(len(noise[0]), batch_size):
        own = None if condition is None else condition[rows]
        inputs = {
            "noise": [layer[rows].astype(np.float32) for layer in noise],
            **conditioned(own),
        }
        means = engine.run(program, inputs)["mean"]
        parts.append(engine.image_values.rounded(means[:valid]))
    return np.concatenate(parts)
