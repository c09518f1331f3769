"""What an image would have been under another condition (Pawlowski et al. 2020).

Abduction: the latents of the image under its own condition. Action and prediction: they are decoded
under another one (de Sousa Ribeiro et al. 2023, arXiv 2306.15764).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.arguments import check_batch, check_condition, check_images
from hvae_core.inference.decoding import decode
from hvae_core.inference.encoding import encode
from hvae_core.inference.engine import Engine
from hvae_core.inference.programs import Infer
from hvae_core.inference.rows import DEFAULT_BATCH_SIZE, batch_rows, latent_noise
from hvae_core.inference.watching import counting


def counterfactual(
    engine: Engine,
    x: Any,
    condition: Any,
    own: Any = None,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    inputs: Any = None,
) -> np.ndarray:
    """Images as they would be under another condition.

    Under the images' own condition they are those of `reconstruct`, bit for bit.

    Args:
        engine: runs the model.
        x: images [B, H, W, C].
        condition: the other condition, see `ConditionValues.encode`.
        own: the images' own; None: the class that `likeliest` finds for each.
        seed: of latents and pixels; image ``i`` depends on the seed and ``i`` alone.
        batch_size: images computed at a time.
        inputs: [B, H, W, C'], what the encoder sees in place of the images.

    Returns:
        [B, H, W, C] in native values.

    Raises:
        BadInputError: the model has no condition, or something does not fit it.
    """
    images = check_images(engine, x)
    values = engine.condition_values
    if values is None:
        raise BadInputError(
            "The model has no condition, so there is no other one to decode images under.",
            "Take a model that was trained with model.condition.",
        )
    check_condition(engine, condition, len(images))
    if own is None:
        own = likeliest(engine, images, seed, batch_size, inputs)
    else:
        check_condition(engine, own, len(images), "own")
    latents = encode(engine, images, seed=seed, batch_size=batch_size, condition=own, inputs=inputs)
    return decode(engine, latents, seed=seed, batch_size=batch_size, condition=condition)


def likeliest(
    engine: Engine,
    x: Any,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    inputs: Any = None,
) -> np.ndarray:
    """The class of each image under which its bound on log p(x | class) is highest, int [B].

    One pass for each class, all with the same noise. Arguments as in `counterfactual`.

    Raises:
        BadInputError: the model's condition is no class.
    """
    values = engine.condition_values
    if values is None or values.form != "class":
        raise BadInputError(
            "The images' own condition is not given, and the model's condition is no class that "
            "could be found from them.",
            "Give it as own.",
        )
    program = Infer(("log_likelihood", "kl_per_layer"))
    batches = [check_batch(engine, x, number, inputs) for number in range(values.size)]
    bounds = []
    with counting(sum(map(len, batches))) as advance:
        for batch in batches:
            parts = []
            for rows, valid in batch_rows(len(batch), batch_size):
                given = {**batch[rows].named(), "noise": latent_noise(engine, rows, seed)}
                out = engine.run(program, given)
                parts.append((out["log_likelihood"] - out["kl_per_layer"].sum(axis=-1))[:valid])
                advance(valid)
            bounds.append(np.concatenate(parts))
    return np.stack(bounds).argmax(axis=0)
