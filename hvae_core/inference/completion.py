"""Images from the posterior of what was measured of them.

Harvey et al. 2022 (arXiv 2102.12037) complete images so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import (
    check_condition,
    check_count,
    check_seed,
    check_temperature,
)
from hvae_core.inference.decoding import Pixels, decode_rows
from hvae_core.inference.encoding import check_layers
from hvae_core.inference.engine import Engine
from hvae_core.inference.measurement_checks import check_measured
from hvae_core.inference.programs import Complete, Infer
from hvae_core.inference.rows import (
    DEFAULT_BATCH_SIZE,
    DRAW_STRIDE,
    batch_rows,
    latent_noise,
    pixel_noise,
)
from hvae_core.inference.watching import counting


class PosteriorDraws:
    """Draws of B images: an array [n, B, H, W, C] in native values, with its mean and deviation.

    NumPy takes it for the array.

    Args:
        images: the array.
    """

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, B, H, W, C)``."""
        return self.images.shape

    @cached_property
    def mean(self) -> np.ndarray:
        """The draws' mean, float32 [B, H, W, C]."""
        return self.images.mean(axis=0, dtype=np.float64).astype(np.float32)

    @cached_property
    def std(self) -> np.ndarray:
        """Their standard deviation, by n - 1, float32 [B, H, W, C]; 0 of a single draw."""
        unbiased = min(1, len(self.images) - 1)
        return self.images.std(axis=0, ddof=unbiased, dtype=np.float64).astype(np.float32)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self.images[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.images, dtype) if copy else np.asarray(self.images, dtype)

    def __repr__(self) -> str:
        return f"PosteriorDraws of shape {self.shape}, {self.images.dtype}"


def posterior_sample(
    engine: Engine,
    y: Any,
    mask: Any,
    n: int = 16,
    layers: int | float | None = None,
    temperature: float | Sequence[float] | None = 1.0,
    seed: int = 0,
    *,
    pixels: Pixels = "sample",
    keep_known: bool = False,
    fill: float | None = None,
    condition: Any = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> PosteriorDraws:
    """Draw whole images from what was measured of them.

    The encoder sees a batch of images once, whatever n is.

    Args:
        engine: runs the model.
        y: what was measured [B, H, W, C], in native values.
        mask: [B, H, W], or [H, W] for all: true where a pixel was measured.
        n: draws of each image.
        layers: take the first, coarsest so many latents (an integer), or such a fraction of them (a
            float), from the posterior, once for each image; from there the draws branch, and the
            rest is drawn from the prior. None: every draw has all its latents from the posterior.
        temperature: factor of the prior's standard deviation, for the latents drawn from it; or one
            for each layer.
        seed: draw j of image i depends on the seed, i and j alone.
        pixels: see `hvae_core.inference.decoding.decode`. With ``mean`` the draws are the
            likelihood's means, and their mean a better estimate of the image.
        keep_known: put the measured pixels back into the draws.
        fill: what unknown pixels of ``y`` are given to the encoder as; None: as they are.
        condition: of a conditional model, see `ConditionValues.encode`.
        batch_size: images computed at a time.

    Raises:
        BadInputError: the measurement or an argument does not fit the model.
    """
    measured, known = check_measured(engine, y, mask, fill)
    n = check_count(n, "n")
    depth = _check_depth(engine, layers)
    scale = check_temperature(temperature, len(engine.latent_shapes))
    check_seed(seed)
    if pixels not in ("sample", "mean", "mode"):
        raise BadInputError(f"pixels is {pixels!r}; it must be sample, mean or mode.")
    conditions = check_condition(engine, condition, len(measured))
    drawn = np.empty((n, *measured.shape), engine.image_values.dtype)
    with counting(n * len(measured)) as advance:
        for rows, valid in batch_rows(len(measured), batch_size):
            seen = encoder_sees(engine, measured[rows], known[rows])
            if conditions is not None:
                seen["condition"] = conditions[rows]
            pairs = [np.repeat(np.arange(n), valid), np.tile(np.arange(valid), n)]
            for draws, places, images in _draws(
                engine, seen, rows, pairs, depth, scale, seed, pixels, batch_size
            ):
                drawn[draws, rows[places]] = images
                advance(len(draws))
    if keep_known:
        drawn = np.where(known[None, ..., None], measured, drawn)
    return PosteriorDraws(drawn)


def _draws(
    engine: Engine,
    seen: dict[str, Any],
    rows: np.ndarray,
    pairs: Sequence[np.ndarray],
    depth: int,
    scale: np.ndarray,
    seed: int,
    pixels: Pixels,
    batch_size: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The draws of one batch: numbers of the draws, places in the batch, and the images."""
    layers = len(engine.latent_shapes)
    program = Complete(("latent",), depth)
    lacks_graph = not engine.gives(program)
    given = {name: seen[name] for name in ("condition",) if name in seen}
    features = []
    if not lacks_graph:
        images_seen = {name: value for name, value in seen.items() if name != "condition"}
        features = engine.run(Infer(("features",)), images_seen)["features"]
    kept: list[np.ndarray] = []
    if depth < layers:
        noise = latent_noise(engine, rows, seed, depth)
        if lacks_graph:
            kept = engine.run(Infer(("latent",), depth), {**seen, "noise": noise})["latent"]
        else:
            kept = engine.run(program, {"features": features, "noise": noise, **given})["latent"]
    for chunk, valid in batch_rows(len(pairs[0]), batch_size):
        draws, places = (of[chunk] for of in pairs)
        # Each draw has image indices of its own, so that no two share their noise.
        numbers = rows[places] + draws * DRAW_STRIDE
        noise = latent_noise(engine, numbers, seed)
        if depth < layers or lacks_graph:
            z: list[np.ndarray | None] = [layer[places] for layer in kept]
            if depth == layers:
                repeated = {key: value[places] for key, value in seen.items() if len(value)}
                z = engine.run(Infer(("latent",)), {**repeated, "noise": noise})["latent"]
            z += [None] * (layers - len(z))
            of_rows = seen["condition"][places] if given else None
            uniform = None if pixels == "mean" else pixel_noise(engine, numbers, seed)
            images = decode_rows(engine, z, noise, uniform, scale, pixels, of_rows)
        else:
            inputs = {
                "features": [scale_of[places] for scale_of in features],
                "noise": noise,
                **{name: value[places] for name, value in given.items()},
            }
            images = _complete(engine, inputs, numbers, seed, pixels)
        yield draws[:valid], places[:valid], images[:valid]


def _complete(
    engine: Engine, inputs: dict[str, Any], numbers: np.ndarray, seed: int, pixels: Pixels
) -> np.ndarray:
    """Images with all their latents from the posterior, from the encoder's features."""
    if pixels == "mean":
        means = engine.run(Complete(("mean",)), inputs)["mean"]
        return engine.image_values.rounded(means)
    uniform = pixel_noise(engine, numbers, seed)
    inputs["pixels"] = uniform if pixels == "sample" else np.full(uniform.shape, 0.5, np.float32)
    images = engine.run(Complete(("images",)), inputs)["images"]
    return np.asarray(images).astype(engine.image_values.dtype)


def _check_depth(engine: Engine, layers: int | float | None) -> int:
    """How many latents come from the posterior."""
    if isinstance(layers, float):
        total = len(engine.latent_shapes)
        if not 0 < layers <= 1:
            raise BadInputError(
                f"layers is {layers}; a fraction must be above 0 and at most 1.",
                f"Or give a whole number of latent layers, at most {total}.",
            )
        return max(1, round(layers * total))
    return check_layers(engine, layers)


def encoder_inputs(engine: Engine, y: Any, mask: Any, fill: float | None = None) -> np.ndarray:
    """What the encoder is given of a measurement, as ``inputs`` of the verbs that take images.

    Args:
        engine: runs the model.
        y: see `posterior_sample`.
        mask: see `posterior_sample`.
        fill: what unknown pixels of ``y`` are given to the encoder as; None: as they are.

    Returns:
        float32 [B, H, W, C'], the measured image in native values, and behind it the mask, 1 where
        a pixel is known, of a model whose encoder has a channel for it.

    Raises:
        BadInputError: the measurement does not fit the model.
    """
    from hvae_core.data.observing import as_seen

    measured, known = check_measured(engine, y, mask, fill)
    return as_seen(measured, known, engine.encoder_shape[-1])


def encoder_sees(engine: Engine, y: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """The inputs of a pass in which the encoder sees a measurement."""
    channels = engine.encoder_shape[-1]
    if channels == y.shape[-1]:
        return {"images": y, "noise": []}
    # Data sets need pydantic, which exports of models that see images do without.
    from hvae_core.data.observing import as_seen

    return {"images": y, "inputs": as_seen(y, mask, channels), "noise": []}
