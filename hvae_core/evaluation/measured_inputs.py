"""What a model's encoder sees of whole images, as in its training: them, or measurements."""

from __future__ import annotations

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.evaluation.verbs import Verbs


def inputs_of(model: Verbs, images: np.ndarray, seed: int, first: int = 0) -> np.ndarray | None:
    """``inputs=`` of a verb that encodes images; None where the encoder sees the images.

    Whoever has whole images and is asked for no measurement takes this, whatever the verb.

    Args:
        model: the model.
        images: [B, H, W, C] in native values.
        seed: of the measurements.
        first: the number of the first image, from which its measurement follows.

    Returns:
        float32 [B, H, W, C'] of measurements of the images, see `Verbs.encoder_inputs`.

    Raises:
        BadInputError: the encoder cannot be given measurements, none are known of it, or the images
            are of another size than the model's, as those are that are taken in tiles.
    """
    measurement = model.measurement
    if measurement is None:
        if model.encoder_shape == model.image_shape:
            return None
        raise BadInputError(
            f"The model's encoder sees {model.encoder_shape[-1]} channels, an image has "
            f"{model.image_shape[-1]}, and no measurement tells what the others hold.",
            "Set measurement in its configuration, or give inputs in Python.",
        )
    if not model.sees_inputs:
        raise BadInputError(
            "The model was trained on measurements, and this export of it can be shown whole "
            "images alone.",
            "Take the model that was exported, or draw whole images with hvae complete.",
        )
    (height, width), (own_height, own_width) = images.shape[1:3], model.image_shape[:2]
    if (height, width) != (own_height, own_width):
        raise BadInputError(
            f"The model was trained on measurements of images of {own_height}x{own_width}, and "
            f"these are of {height}x{width}, which cannot be measured in tiles.",
            "Give images of the model's size, and no tile.",
        )
    # Data sets need pydantic, which exports of models that see images do without.
    from hvae_core.data.measuring import measured

    y, mask = measured(measurement, images, range(first, first + len(images)), seed)
    return model.encoder_inputs(y, mask)
