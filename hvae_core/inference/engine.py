"""Running a model over many images: one compiled shape, noise that each image owns.

Every image has its own stream of random numbers, keyed by the seed and the image's index, so that
no result depends on how the images are divided into batches.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from hvae_core.errors import BadInputError

DEFAULT_BATCH_SIZE = 32

#: a `HierarchicalVAE`, or an `ExportedModel`, whose graphs stand in for the functions of tensors
#: that are made of the former
Runnable: TypeAlias = Any


def compiled_function(
    model: Runnable, key: Hashable, function: Callable[..., dict[str, Any]]
) -> Callable[..., dict[str, Any]]:
    """``function`` compiled once for ``model``, with its outputs as NumPy arrays.

    Args:
        model: the `HierarchicalVAE` whose variables ``function`` uses, or an `ExportedModel`,
            which has graphs of its own for each key.
        key: what the function computes; a second call with it returns the first one's result.
        function: takes tensors, returns a dict of tensors or of lists of tensors.
    """
    from hvae_core.backends.selection import compiled

    if hasattr(model, "exported_function"):
        return model.exported_function(key)
    # Stored past Keras's attribute tracking: these are not parts of the model. On the model, so
    # that they die with it.
    cache: dict[Hashable, Callable[..., dict[str, Any]]] = model.__dict__.get("_hvae_compiled", {})
    if not cache:
        object.__setattr__(model, "_hvae_compiled", cache)
    if key not in cache:
        inner = compiled(function, model.variables)

        def run(*args: Any) -> dict[str, Any]:
            return {name: _to_numpy(value) for name, value in inner(*args).items()}

        cache[key] = run
    return cache[key]


def _to_numpy(value: Any) -> Any:
    from keras import ops

    if isinstance(value, list | tuple):
        return [_to_numpy(item) for item in value]
    return np.asarray(ops.convert_to_numpy(value))


def batch_rows(count: int, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Divide ``count`` rows into batches of one size.

    Yields:
        The row numbers of a batch, the last batch filled up with its last row, and how many of
        them are real.
    """
    size = min(check_count(batch_size, "batch_size"), count)
    for start in range(0, count, size):
        rows = np.arange(start, start + size)
        yield np.minimum(rows, count - 1), min(size, count - start)


def pad_rows(array: np.ndarray, size: int) -> np.ndarray:
    """``array`` [b, ...] with its last row repeated until there are ``size`` rows."""
    missing = size - len(array)
    return array if missing <= 0 else np.concatenate([array, array[-1:].repeat(missing, axis=0)])


def latent_noise(
    model: Runnable, indices: Sequence[int] | np.ndarray, seed: int
) -> list[np.ndarray]:
    """Standard-normal noise of the images at ``indices``: L arrays [B, h, w, c], coarsest first."""
    from hvae_core.prob.noise_streams import draw_normal, split_layers

    check_seed(seed)
    return split_layers(draw_normal(model.latent_shapes, indices, seed), model.latent_shapes)


def pixel_noise(model: Runnable, indices: Sequence[int] | np.ndarray, seed: int) -> np.ndarray:
    """Uniform(0, 1) noise float32 [B, H, W, n] with which the likelihood draws its pixels."""
    from hvae_core.prob.noise_streams import draw_uniform

    height, width, _ = model.image_shape
    shape = (height, width, model.likelihood.noise_channels())
    check_seed(seed)
    return draw_uniform(shape, indices, seed)


def check_noise(model: Runnable, noise: Sequence[Any], count: int) -> list[np.ndarray]:
    """Given noise as float32 arrays, one for each latent layer.

    Raises:
        BadInputError: the number of layers or a shape is wrong.
    """
    arrays = [np.asarray(layer, dtype=np.float32) for layer in noise]
    shapes = list(model.latent_shapes)
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


def check_images(model: Runnable, x: Any, name: str = "x") -> np.ndarray:
    """Images as uint8 [B, H, W, C] of the model's shape.

    Raises:
        BadInputError: another shape, no image, or values that are no bytes.
    """
    images = np.asarray(x)
    expected = tuple(model.image_shape)
    if images.ndim != 4 or images.shape[1:] != expected or not len(images):
        raise BadInputError(
            f"{name} has shape {list(images.shape)}; the model needs images "
            f"[B, {', '.join(map(str, expected))}]."
        )
    if images.dtype == np.uint8:
        return images
    with np.errstate(invalid="ignore"):
        as_bytes = images.astype(np.uint8)
    if not np.array_equal(as_bytes, images):
        raise BadInputError(
            f"{name} holds {images.dtype} values that are not whole numbers from 0 to 255.",
            "Give the images as uint8, not scaled.",
        )
    return as_bytes


def check_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least ``least``.

    Raises:
        BadInputError: it is none.
    """
    try:
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


def join_batches(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The batches' arrays one after the other, by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
