"""Images to latents, and to the encoder's features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import (
    check_batch,
    check_count,
    check_images,
    check_inputs,
    check_noise,
    check_seed,
    refuse_more_than_images,
)
from hvae_core.inference.engine import Engine
from hvae_core.inference.kept_channels import check_kept, prunable_layers
from hvae_core.inference.latents import STATISTICS, Latents
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, given_or_drawn
from hvae_core.inference.tiles import Sides, Tiling, check_whole_images, sized
from hvae_core.inference.watching import counting
from hvae_core.interfaces import Batch
from hvae_core.prob.divergence import array_kl
from hvae_core.prob.noise import fold_seed

if TYPE_CHECKING:
    from hvae_core.config import Config

#: tells the prior's draws of pruned channels from other numbers of a seed
PRUNED = 2
#: outputs of the program
OUTPUTS = ("latent", "posterior_mean", "posterior_log_std", "prior_mean", "prior_log_std", "kl")


def encode(
    engine: Engine,
    x: Any,
    layers: int | None = None,
    seed: int = 0,
    sample: bool = True,
    noise: Sequence[Any] | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    kept: Sequence[Any] | None = None,
    prior_noise: Sequence[Any] | None = None,
    tile: Sides | None = None,
    overlap: Sides | None = None,
    condition: Any = None,
    inputs: Any = None,
) -> Latents:
    """The latents of images, with their posteriors and priors along them.

    Args:
        engine: runs the model.
        x: images [B, H, W, C].
        layers: only the first (coarsest) so many; nothing after them is computed.
        seed: of the draws; image ``i`` depends on the seed and ``i`` alone.
        sample: draw from the posterior; False: take its mean in every layer (with a flow: what the
            flow makes of the mean).
        noise: standard-normal arrays [B, h, w, c], one for each latent layer of the model, coarsest
            first, in place of the seeded ones.
        batch_size: images computed at a time.
        kept: for each latent layer of the model which channels [c] are the posterior's; the others
            of ``z`` are drawn from the prior. None: all are. In a layer with a flow and in a top
            prior all have to be. See `Latents.most_informative`.
        prior_noise: as ``noise``, of those draws; in place of seeded numbers.
        tile: compute images of any size in tiles, see
            `hvae_core.inference.reconstruction.reconstruct`. Where the
            sides are no multiples of the coarsest scale's step the latents are those of the image
            continued as in a mirror. With a flow there is no ``kl_per_layer``: the flow's part
            in it is a sum over a whole tile.
        overlap: pixels that neighbouring tiles share.
        condition: of a conditional model, see `ConditionValues.encode`.
        inputs: [B, H, W, C'], what the encoder sees in place of the images.

    Raises:
        BadInputError: the images or an argument do not fit the model, or the model is an export of
            an older hvae, which lacks these outputs; or an export and ``kept`` is given.
    """
    tiled = tile is not None or overlap is not None
    if tiled:
        refuse_more_than_images(engine, condition, inputs)
    images = (
        Batch(check_whole_images(engine, x)) if tiled else check_batch(engine, x, condition, inputs)
    )
    depth = check_layers(engine, layers)
    masks = None if kept is None else check_kept(engine, kept)
    if masks is None and prior_noise is not None:
        raise BadInputError("prior_noise is given and kept is not.", "Give both, or neither.")
    given_prior = check_noise(engine, prior_noise, len(images))
    check_seed(seed)
    if noise is not None and not sample:
        raise BadInputError("noise is given and sample is False.", "Give one of the two.")
    if tiled:
        if masks is not None:
            raise BadInputError("kept is given and tile is too.", "Give one of the two.")
        tiling = Tiling(sized(engine), images.images.shape[1:3], tile, overlap)
        return _in_tiles(tiling, images.images, depth, seed, sample, noise, sized(engine).config)
    given = check_noise(engine, noise, len(images))
    program = Infer(OUTPUTS, depth, prunes=masks is not None)
    parts: list[dict[str, Any]] = []
    for rows, valid in batch_rows(len(images), batch_size):
        if sample:
            normal = given_or_drawn(engine, given, rows, seed, depth)
        else:
            shapes = engine.latent_shapes[:depth]
            normal = [np.zeros((len(rows), *shape), np.float32) for shape in shapes]
        given_rows = {**images[rows].named(), "noise": normal}
        if masks is not None:
            further = given_or_drawn(engine, given_prior, rows, fold_seed(seed, PRUNED), depth)
            given_rows |= {"kept": masks[:depth], "prior_noise": further}
        out = engine.run(program, given_rows)
        parts.append({name: [layer[:valid] for layer in out[name]] for name in OUTPUTS})
    whole: dict[str, Any] = {
        name: [np.concatenate([part[name][layer] for part in parts]) for layer in range(depth)]
        for name in OUTPUTS
    }
    z, kl = whole.pop("latent"), whole.pop("kl")
    known = None if masks is None else masks[:depth]
    prunable = prunable_layers(engine)
    prunable = None if prunable is None else prunable[:depth]
    whole["kl_per_layer"] = np.stack(kl, axis=1)
    return Latents(z, **whole, kept=known, prunable=prunable)


def _in_tiles(
    tiling: Tiling,
    images: np.ndarray,
    depth: int,
    seed: int,
    sample: bool,
    noise: Sequence[Any] | None,
    config: Config,
) -> Latents:
    engine, shapes = tiling.engine, tiling.latent_shapes[:depth]
    given = check_noise(engine, noise, len(images), tiling.latent_shapes)
    program = Infer(OUTPUTS[:-1], depth)
    whole: dict[str, Any] = {
        name: [np.empty((len(images), *shape), np.float32) for shape in shapes]
        for name in program.outputs
    }
    with counting(len(images) * len(tiling.tiles)) as advance:
        for place, image in enumerate(images):
            padded = tiling.whole(image)
            source = tiling.noise(place, seed, given) if sample else None
            for tile in tiling.tiles:
                if source is None:
                    normal = [
                        np.zeros((1, *shape), np.float32) for shape in engine.latent_shapes[:depth]
                    ]
                else:
                    normal = tiling.at_tile(source, tile, depth)
                inputs = {"images": padded[tile.computed][None], "noise": normal}
                out = engine.run(program, inputs)
                for name, layers in whole.items():
                    for layer, target in enumerate(layers):
                        inside = tiling.at_layer(tile.inside, layer)
                        where = tiling.at_layer(tile.kept, layer)
                        target[place][where] = out[name][layer][0][inside]
                advance(1)
    z = whole.pop("latent")
    kl = None
    if config.model.flow is None:
        kl = np.stack(
            [
                array_kl(*(whole[name][layer] for name in STATISTICS)).sum(
                    axis=(1, 2, 3), dtype=np.float64
                )
                for layer in range(depth)
            ],
            axis=1,
        )
    prunable = config.model.prunable_layers[:depth]
    return Latents(z, **whole, kl_per_layer=kl, prunable=prunable)


def features(
    engine: Engine, x: Any, batch_size: int = DEFAULT_BATCH_SIZE, inputs: Any = None
) -> list[np.ndarray]:
    """The encoder's feature maps of images.

    Args:
        engine: runs the model.
        x: images [B, H, W, C].
        batch_size: images computed at a time.
        inputs: [B, H, W, C'], what the encoder sees in place of the images.

    Returns:
        A float32 array [B, h, w, width] for each scale, finest first, as in ``model.resolutions``:
        what the latent layers of that scale are given of the image. Of a model with a top prior
        one more: the coefficients [B, h, w, c] of the image that its posterior goes by.

    Raises:
        BadInputError: the images do not fit the model, or the model is an export of an older hvae,
            which lacks these outputs.
    """
    images = Batch(check_images(engine, x))
    images = Batch(images.images, check_inputs(engine, inputs, len(images)))
    parts = []
    for rows, valid in batch_rows(len(images), batch_size):
        out = engine.run(Infer(("features",)), {**images[rows].named(), "noise": []})
        parts.append([scale[:valid] for scale in out["features"]])
    return [np.concatenate(scale) for scale in zip(*parts, strict=True)]


def check_layers(engine: Engine, layers: int | None) -> int:
    """A number of leading latent layers from 1 to the model's; None: all, else `BadInputError`."""
    depth = len(engine.latent_shapes)
    count = depth if layers is None else check_count(layers, "layers")
    if count > depth:
        raise BadInputError(f"layers is {count}; the model has {depth} latent layers.")
    return count
