"""What the parts of `Latents` must be: arrays of the same images and of their layers' shapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError

Layers = Sequence[np.ndarray | None]


def checked_layers(layers: Iterable[Any]) -> list[np.ndarray | None]:
    """``z``: float32 arrays [B, h, w, c] of the same images, or None.

    Raises:
        BadInputError: they are not, or there is none.
    """
    z = [None if layer is None else _array("z", place, layer) for place, layer in enumerate(layers)]
    rows = {len(layer) for layer in z if layer is not None}
    if len(rows) != 1:
        raise BadInputError(
            f"The latents are of {sorted(rows)} images."
            if rows
            else "The latents have no layer that is given.",
            "Give arrays [B, h, w, c] of the same images, at least one.",
        )
    if rows == {0}:
        raise BadInputError("The latents are of no image.", "Give, or choose, at least one.")
    return z


def image_count(z: Layers) -> int:
    """The number of images of `checked_layers`."""
    return next(len(layer) for layer in z if layer is not None)


def checked_statistics(name: str, layers: Iterable[Any], z: Layers) -> list[np.ndarray]:
    """Means or deviations: float32 arrays of the shapes of ``z``, where it is given.

    Raises:
        BadInputError: they are not.
    """
    arrays = [_array(name, place, layer) for place, layer in enumerate(layers)]
    same = len(arrays) == len(z) and all(
        layer is None or array.shape == layer.shape for array, layer in zip(arrays, z, strict=True)
    )
    if not same:
        raise BadInputError(f"{name} has not the shapes of z, layer by layer.")
    return arrays


def checked_kl(kl_per_layer: Any, z: Layers) -> np.ndarray:
    """The KL of each layer, float32 [B, k].

    Raises:
        BadInputError: it has another shape.
    """
    kl = np.asarray(kl_per_layer, np.float32)
    expected = [image_count(z), len(z)]
    if list(kl.shape) != expected:
        raise BadInputError(f"kl_per_layer has shape {list(kl.shape)}; expected {expected}.")
    return kl


def checked_masks(kept: Iterable[Any], z: Layers) -> list[np.ndarray]:
    """Which channels are kept, float32 [c] for each layer, also where it has no z any more.

    Raises:
        BadInputError: they are not one number for each channel.
    """
    masks = [np.asarray(layer, np.float32) for layer in kept]
    fits = [
        mask.ndim == 1 if array is None else mask.shape == array.shape[-1:]
        for mask, array in zip(masks, z, strict=False)
    ]
    if len(masks) != len(z) or not all(fits):
        raise BadInputError("kept has not one number for each channel of z, layer by layer.")
    return masks


def checked_prunable(prunable: Any, z: Layers) -> list[bool]:
    """Which layers may be pruned: a truth value for each.

    Raises:
        BadInputError: they are not.
    """
    values = np.asarray(prunable)
    if values.shape != (len(z),) or not np.isin(values, (0, 1)).all():
        raise BadInputError("prunable is not true or false for each layer.")
    return values.astype(bool).tolist()


def checked_names(names: Any, z: Layers) -> list[str]:
    """What the images are called: B strings.

    Raises:
        BadInputError: they are not.
    """
    known = [names] if isinstance(names, str) else list(names)
    if isinstance(names, str) or not all(isinstance(name, str) for name in known):
        raise BadInputError("names is no list of strings.", "Give one for each image.")
    if len(known) != image_count(z):
        raise BadInputError(
            f"There are {len(known)} names of {image_count(z)} images.", "Give one for each image."
        )
    return [str(name) for name in known]


def _array(name: str, place: int, layer: Any) -> np.ndarray:
    try:
        array = np.asarray(layer, np.float32)
    except (TypeError, ValueError):
        raise BadInputError(f"{name}[{place}] holds no numbers.") from None
    if array.ndim != 4:
        raise BadInputError(
            f"{name}[{place}] has shape {list(array.shape)}; expected [B, h, w, c]."
        )
    return array
