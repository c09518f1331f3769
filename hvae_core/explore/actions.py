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
from hvae_core.evaluation.measured_inputs import inputs_of
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

    ``seen`` is [H, W, C], what the encoder was shown: the image, or what was measured of it;
    ``drawn`` [H, W, C]; ``kl`` [L] the KL of each layer in nats, coarsest first;
    ``cost`` is the bound's negative in the likelihood's ``unit``: bits/dim or nats.
    """

    seen: np.ndarray
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


def known_of(
    model: HierarchicalVAE, image: np.ndarray, seed: int = 0, number: int = 0
) -> dict[str, Any]:
    """The ``condition`` and ``inputs`` of an image [H, W, C], which no visitor is asked for.

    Its condition is the class under which its bound is highest; of numbers, what
    `ConditionValues.examples` shows a model under; None where the model has none. Where the model
    was trained on measurements the image is measured.

    Args:
        model: the model.
        image: in native values.
        seed: of the measurement, and of the bounds' noise.
        number: of the image among those of an action, from which its measurement follows.

    Raises:
        BadInputError: the image does not fit the model.
    """
    images = check_images(model, image[None], "The image")
    inputs = inputs_of(model, images, check_seed(seed), number)
    values = model.condition_values
    if values is None or values.form != "class":
        return {"condition": example_conditions(model, 1), "inputs": inputs}
    return {"condition": likeliest(model, images, seed, inputs=inputs), "inputs": inputs}


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
    layers = len(model.latent_shapes)
    latents = check_count(latents, "The number of latents", 0)
    if latents > layers:
        raise BadInputError(f"The model has {layers} latents, not {latents}.")
    known = known_of(model, image, seed)
    noise = draw(NORMAL, model.latent_shapes, [0], check_seed(seed))

    program = Infer(("standardised", "kl_per_layer", "log_likelihood"))
    batch = check_batch(model, image[None], **known)
    out = model.run(program, {**batch.named(), "noise": noise})
    kept = [np.asarray(layer, np.float32) for layer in out["standardised"][:latents]]
    drawn = model.sample(
        1,
        temperature=[1.0] * latents + [temperature] * (layers - latents),
        seed=seed,
        noise=[*kept, *noise[latents:]],
        condition=known["condition"],
    )[0]
    kl = out["kl_per_layer"][0]
    cost = float(kl.sum() - out["log_likelihood"][0])
    if model.likelihood.unit == "bits/dim":
        cost = cost / (image.size * math.log(2))
    seen, channels = batch.images[0], model.image_shape[-1]
    if batch.inputs is not None:
        seen = model.image_values.rounded(batch.inputs[0, ..., :channels])
    return Reconstruction(seen, drawn, kl, cost, model.likelihood.unit)


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
    layers = range(len(model.latent_shapes))
    if not set(kept) <= set(layers):
        raise BadInputError(f"The model has the layers 1 to {len(layers)}.")
    known = known_of(model, image, seed)
    condition = known["condition"]
    mine = model.encode(image[None], seed=seed, **known)
    theirs = mine
    if other is not None:
        theirs = model.encode(other[None], seed=seed, **known_of(model, other, seed, 1))
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
    known = known_of(model, first, seed)
    # Both ends are taken to have the first one's condition, so the second's is not looked for.
    ends = [known["inputs"], inputs_of(model, second[None], seed, 1)]
    return model.interpolate(
        first,
        second,
        steps=steps,
        seed=seed,
        condition=known["condition"],
        inputs=None if ends[0] is None else ends,
    )


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
