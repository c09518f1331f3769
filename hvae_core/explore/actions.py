"""What the page does with a model: sample, reconstruct, edit, interpolate, KL of each layer.

Each shape is compiled once: samples are drawn in batches of one size, and a reconstruction from the
first k latents is drawn by the same program for every k. For that, the image's latents are taken as
the noise ``(z - mu_p) / sigma_p`` with which the prior would have drawn them; the layers after the
k-th get noise of their own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.images.grids import as_pictures, make_grid
from hvae_core.inference.arguments import (
    check_batch,
    check_count,
    check_images,
    check_seed,
    example_conditions,
)
from hvae_core.inference.counterfactual import likeliest
from hvae_core.inference.programs import Infer
from hvae_core.interfaces import UINT8, ImageValues
from hvae_core.prob.noise import NORMAL, draw

if TYPE_CHECKING:
    from hvae_core.vae import HierarchicalVAE

MAX_SAMPLES = 64
MAX_STEPS = 16
BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """An image drawn from the latents of another.

    ``drawn`` is [H, W, C]; ``kl`` [L] the KL of each layer in nats, coarsest first;
    ``cost`` is the bound's negative in the likelihood's ``unit``: bits/dim or nats.
    """

    drawn: np.ndarray
    kl: np.ndarray
    cost: float
    unit: str


def sample(
    model: HierarchicalVAE, count: int = 16, temperature: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Images from the prior: [count, H, W, C].

    Raises:
        BadInputError: an argument is impossible, or ``count`` is above `MAX_SAMPLES`.
    """
    count = check_count(count, "The number of images")
    if count > MAX_SAMPLES:
        raise BadInputError(f"{count} images are too many for the page; at most {MAX_SAMPLES}.")
    whole = -(-count // BATCH_SIZE) * BATCH_SIZE
    return model.sample(
        whole,
        temperature=temperature,
        seed=seed,
        batch_size=BATCH_SIZE,
        condition=example_conditions(model, whole),
    )[:count]


def check_sees_images(model: HierarchicalVAE) -> None:
    """Refuse to encode whole images with an encoder of measurements and masks."""
    if model.encoder_shape != model.image_shape:
        raise BadInputError(
            "The model's encoder sees measurements of images with their masks, not whole images.",
            "Complete images with: hvae complete",
        )


def condition_of(model: HierarchicalVAE, image: np.ndarray, seed: int = 0) -> Any:
    """What an image [H, W, C] is conditioned on, which no visitor is asked for.

    The class under which its bound is highest; of numbers, that none is known; None where the model
    has no condition.
    """
    values = model.condition_values
    if values is None or values.form != "class":
        return example_conditions(model, 1)
    return likeliest(model, image[None], seed)


def reconstruct(
    model: HierarchicalVAE,
    image: np.ndarray,
    latents: int,
    temperature: float = 1.0,
    seed: int = 0,
) -> Reconstruction:
    """Draw ``image`` again from its first latents, the rest from the prior.

    Args:
        model: the model.
        image: [H, W, C] in native values.
        latents: so many leading (coarsest) latents are the image's; 0 is a sample.
        temperature: factor of the prior's standard deviations, for the rest.
        seed: of the noise.

    Raises:
        BadInputError: the image or an argument does not fit the model.
    """
    check_sees_images(model)
    images = check_images(model, image[None], "The image")
    layers = len(model.latent_shapes)
    latents = check_count(latents, "The number of latents", 0)
    if latents > layers:
        raise BadInputError(f"The model has {layers} latents, not {latents}.")
    noise = draw(NORMAL, model.latent_shapes, [0], check_seed(seed))

    program = Infer(("standardised", "kl_per_layer", "log_likelihood"))
    condition = condition_of(model, image, seed)
    batch = check_batch(model, images, condition)
    out = model.run(program, {**batch.named(), "noise": noise})
    kept = [np.asarray(layer, np.float32) for layer in out["standardised"][:latents]]
    drawn = model.sample(
        1,
        temperature=[1.0] * latents + [temperature] * (layers - latents),
        seed=seed,
        noise=[*kept, *noise[latents:]],
        condition=condition,
    )[0]
    kl = out["kl_per_layer"][0]
    cost = float(kl.sum() - out["log_likelihood"][0])
    if model.likelihood.unit == "bits/dim":
        cost = cost / (image.size * math.log(2))
    return Reconstruction(drawn, kl, cost, model.likelihood.unit)


def edit(
    model: HierarchicalVAE,
    image: np.ndarray,
    kept: Sequence[int],
    other: np.ndarray | None = None,
    move: tuple[int, int, float] | None = None,
    temperature: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """``image`` again with some of its latents: [H, W, C].

    Args:
        model: the model.
        image: [H, W, C] in native values.
        kept: the layers, from 0 on, whose latents are the image's.
        other: an image whose latents the other layers have; None: they come from the prior.
        move: a layer, a channel of it, both from 0 on, and by how many of the prior's standard
            deviations its latent is moved, at every place; nothing in a layer that comes from the
            prior.
        temperature: factor of the prior's standard deviations, for what comes from it.
        seed: of the noise.

    Raises:
        BadInputError: an image or an argument does not fit the model.
    """
    check_sees_images(model)
    layers = range(len(model.latent_shapes))
    if not set(kept) <= set(layers):
        raise BadInputError(f"The model has the layers 1 to {len(layers)}.")
    condition = condition_of(model, image, seed)
    mine = model.encode(image[None], seed=seed, condition=condition)
    theirs = mine
    if other is not None:
        own = condition_of(model, other, seed)
        theirs = model.encode(other[None], seed=seed, condition=own)
    z: list[np.ndarray | None] = []
    for place in layers:
        source = mine if place in kept else theirs
        latent = source.z[place]
        assert latent is not None
        assert source.prior_log_std is not None
        if move is not None and move[0] == place:
            channel = check_count(move[1], "The channel", 0)
            if channel >= latent.shape[-1]:
                raise BadInputError(
                    f"Layer {place + 1} has {latent.shape[-1]} channels; "
                    f"there is none of number {channel + 1}."
                )
            deviation = np.exp(source.prior_log_std[place][..., channel])
            latent[..., channel] += move[2] * deviation
        z.append(latent if place in kept or other is not None else None)
    if all(latent is None for latent in z):
        return model.sample(1, temperature=temperature, seed=seed, condition=condition)[0]
    return model.decode(z, temperature=temperature, seed=seed, condition=condition)[0]


def interpolate(
    model: HierarchicalVAE, first: np.ndarray, second: np.ndarray, steps: int = 8, seed: int = 0
) -> np.ndarray:
    """Images on the way from ``first`` to ``second``, both ends included: [steps, H, W, C].

    Raises:
        BadInputError: the images do not fit the model, or ``steps`` is below 2 or above
            `MAX_STEPS`.
    """
    steps = check_count(steps, "The number of steps", 2)
    if steps > MAX_STEPS:
        raise BadInputError(f"{steps} steps are too many for the page; at most {MAX_STEPS}.")
    check_sees_images(model)
    condition = condition_of(model, first, seed)
    return model.interpolate(first, second, steps=steps, seed=seed, condition=condition)


def kl_table(model: HierarchicalVAE, kl: np.ndarray, latents: int) -> list[dict[str, Any]]:
    """The rows of the plot: layer, its scale, its KL in nats, whether it was kept.

    Args:
        model: the model.
        kl: [L], coarsest first.
        latents: how many leading layers were kept.
    """
    return [
        {
            "layer": str(index + 1),
            "scale": f"{height}x{width}",
            "nats": round(float(value), 3),
            "from": "the image" if index < latents else "the prior",
        }
        for index, ((height, width, _), value) in enumerate(
            zip(model.latent_shapes, kl, strict=True)
        )
    ]


def enlarged(image: np.ndarray, side: int = 320, values: ImageValues = UINT8) -> np.ndarray:
    """A small image as it is shown, with every pixel as a square, about ``side`` pixels wide."""
    image = as_pictures(image[None], values)[0]
    scale = max(1, side // max(image.shape[:2]))
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def grid(
    images: np.ndarray,
    columns: int | None = None,
    width: int = 720,
    values: ImageValues = UINT8,
) -> np.ndarray:
    """Images side by side, about ``width`` pixels wide: uint8 [height, width, 1 or 3]."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    images = as_pictures(images, values)
    return make_grid(images, columns, max(1, width // (columns * images.shape[2])))
