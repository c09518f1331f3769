"""What a caller of a verb gives, checked before anything is computed."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.inference.engine import Engine
from hvae_core.interfaces import Batch, Shape3
from hvae_core.interfaces.image_shapes import check_image_shape


def check_noise(
    engine: Engine,
    noise: Sequence[Any] | None,
    count: int,
    latent_shapes: Sequence[Shape3] | None = None,
) -> list[np.ndarray] | None:
    """Given noise as float32 arrays, one for each latent layer; None where none is given.

    Args:
        engine: tells the shapes.
        noise: what was given.
        count: of the images.
        latent_shapes: in place of the engine's, those of a whole image that it sees tiles of.

    Raises:
        BadInputError: the number of layers or a shape is wrong, or they are no finite numbers.
    """
    if noise is None:
        return None
    try:
        layers = list(noise)
    except TypeError:
        hint = "Give one for each latent layer."
        raise BadInputError("noise is no list of arrays.", hint) from None
    arrays = [_finite(layer, f"noise[{index}]") for index, layer in enumerate(layers)]
    shapes = list(latent_shapes or engine.latent_shapes)
    if len(arrays) != len(shapes):
        raise BadInputError(
            f"noise has {len(arrays)} arrays; the model has {len(shapes)} latent layers.",
            "Give one standard-normal array for each layer, coarsest first.",
        )
    for index, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        if array.shape != (count, *shape):
            raise BadInputError(
                f"noise[{index}] has shape {list(array.shape)}; "
                f"layer {index} needs {[count, *shape]}."
            )
    return arrays


def is_array(x: Any) -> bool:
    """Whether ``x`` is an array of images, or a list of them, and not batches one by one."""
    return hasattr(x, "shape") or isinstance(x, list)


def check_images(engine: Engine, x: Any, name: str = "x") -> np.ndarray:
    """Images [B, H, W, C] of the model's shape, in its native values.

    Raises:
        BadInputError: another shape, no image, or other values.
    """
    images = np.asarray(x)
    check_image_shape(
        images.shape, engine.image_shape, f"{name} has", batch=True, kind=BadInputError
    )
    return check_values(engine, images, name)


def check_values(engine: Engine, images: np.ndarray, name: str = "x") -> np.ndarray:
    """Images in the model's native values.

    Raises:
        BadInputError: they are others.
    """
    values = engine.image_values
    exact = values.exact(images)
    if exact is not None:
        return exact
    expected = "finite numbers"
    if values.is_discrete:
        expected = f"whole numbers from 0 to {values.high:.0f}"
    raise BadInputError(
        f"{name} holds {images.dtype} values that are not {expected}.",
        f"Give the images as {values.dtype}, not scaled.",
    )


def check_batch(
    engine: Engine, x: Any, condition: Any = None, inputs: Any = None, name: str = "x"
) -> Batch:
    """Images [B, H, W, C] of the model, with their condition and what the encoder sees of them.

    Args:
        engine: whose images they are.
        x: the images; or a `Batch` of all of it, as batches of a data set are.
        condition: see `ConditionValues.encode`.
        inputs: [B, H, W, C'], see `Batch`; None: the images.
        name: of the images, for messages.

    Raises:
        BadInputError: something does not fit the model, or is missing.
    """
    if isinstance(x, Batch):
        return x
    images = check_images(engine, x, name)
    return Batch(
        images,
        check_inputs(engine, inputs, len(images)),
        check_condition(engine, condition, len(images)),
    )


def check_condition(
    engine: Engine, condition: Any, count: int, name: str = "condition"
) -> np.ndarray | None:
    """The condition of ``count`` images as graphs take it; None of a model that has none.

    Raises:
        BadInputError: it does not fit the model, is missing, or given to a model that has none.
    """
    values = engine.condition_values
    if values is None:
        if condition is not None:
            raise BadInputError(
                f"{name} is given, but the model has no condition.",
                f"Leave out {name}, or take a model that was trained with model.condition.",
            )
        return None
    if condition is None and not values.has_null:
        raise BadInputError(
            f"The model is conditional, and no {name} is given; expected {values.describe()}.",
            f"Give it as {name}.",
        )
    return values.encode(condition, count, name)


def refuse_more_than_images(engine: Engine, condition: Any, inputs: Any) -> None:
    """Refuse to work in tiles where there is more than the image, else `BadInputError`."""
    further = engine.condition_values is not None or engine.encoder_shape != engine.image_shape
    if further or condition is not None or inputs is not None:
        raise BadInputError(
            "tile is given, but tiles are of images alone, without a condition or inputs.",
            "Leave out tile and overlap, and give images of the model's size.",
        )


def example_conditions(engine: Engine, count: int) -> np.ndarray | None:
    """Conditions to show a model with, see `ConditionValues.examples`; None where it has none."""
    values = getattr(engine, "condition_values", None)
    return None if values is None else values.examples(count)


def check_inputs(engine: Engine, inputs: Any, count: int) -> np.ndarray | None:
    """What the encoder sees of ``count`` images, float32 [B, H, W, C']; None: the images.

    Raises:
        BadInputError: another shape, values that are not finite, or it is missing.
    """
    height, width, channels = engine.encoder_shape
    if inputs is None:
        if engine.encoder_shape == engine.image_shape:
            return None
        raise BadInputError(
            f"The model's encoder sees {channels} channels, and an image has "
            f"{engine.image_shape[-1]}; inputs is not given.",
            f"Give inputs, [{count}, {height}, {width}, {channels}], of what was measured and "
            "where: model.encoder_inputs(y, mask).",
        )
    array = _finite(inputs, "inputs")
    if array.shape != (count, height, width, channels):
        raise BadInputError(
            f"inputs has shape {list(array.shape)}; expected {[count, height, width, channels]}."
        )
    return array


def _finite(array: Any, name: str) -> np.ndarray:
    """Finite numbers as float32, else `BadInputError`."""
    try:
        numbers = np.asarray(array, np.float32)
    except (TypeError, ValueError):
        raise BadInputError(f"{name} is no array of numbers.") from None
    if not np.isfinite(numbers).all():
        raise BadInputError(f"{name} holds values that are not finite.")
    return numbers


def check_guidance(engine: Engine, guidance: Any, condition: Any) -> float | None:
    """How far priors are moved from the null condition's; None where they are not.

    Raises:
        BadInputError: no finite number of at least 0, the model has no null condition, or no
            ``condition`` is given to move to.
    """
    if guidance is None:
        return None
    try:
        number = float(guidance)
    except (TypeError, ValueError):
        raise BadInputError(f"guidance is {guidance!r}; it must be a number.") from None
    if not (number >= 0 and np.isfinite(number)):
        raise BadInputError(f"guidance is {number}; it must be a finite number of at least 0.")
    values = engine.condition_values
    if values is None or not values.has_null:
        raise BadInputError(
            "guidance is given, but the model has no null condition to move away from.",
            "Leave it out, or train a conditional model with model.condition.dropout=0.1.",
        )
    if condition is None:
        raise BadInputError(
            "guidance is given, but no condition, which it moves the prior to.",
            f"Give one as well, {values.describe()}, or leave guidance out.",
        )
    return number


def check_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least ``least``.

    Raises:
        BadInputError: it is none.
    """
    try:
        if isinstance(value, bool):  # Python's are integers
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise BadInputError(f"{name} is {value!r}; it must be a whole number.") from None
    if number < least:
        raise BadInputError(f"{name} is {number}; it must be at least {least}.")
    return number


def check_seed(seed: Any) -> int:
    """A seed from 0 to 2**63 - 1, else `BadInputError`."""
    number = check_count(seed, "seed", 0)
    if number >= 2**63:
        raise BadInputError(f"seed is {number}; it must be below 2**63.")
    return number


def check_temperature(value: Any, layers: int | None = None) -> np.ndarray:
    """Temperatures as float32: a scalar, or [L] where one is given for each latent layer.

    Args:
        value: a number, or ``layers`` numbers, coarsest layer first; None is 1.
        layers: the model's L; None: a number is expected.

    Raises:
        BadInputError: not finite numbers of at least 0, or of another length.
    """
    try:
        numbers = np.asarray(1.0 if value is None else value, dtype=np.float32)
    except (TypeError, ValueError):
        raise BadInputError(f"temperature is {value!r}; it must be a number.") from None
    if numbers.ndim and (layers is None or numbers.shape != (layers,)):
        wanted = "a number" if layers is None else f"a number, or {layers} numbers, one a layer"
        raise BadInputError(f"temperature has shape {list(numbers.shape)}; it must be {wanted}.")
    wrong = numbers[~((numbers >= 0) & np.isfinite(numbers))]
    if wrong.size:
        raise BadInputError(f"temperature is {wrong[0]}; it must be a finite number of at least 0.")
    return numbers
