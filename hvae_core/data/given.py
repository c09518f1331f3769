"""Images that a caller gives as Python objects, in place of a data set's name.

A configuration holds plain values, so what stands there for them is the data set `PYTHON` with what
identifies the images: the object's type, their shape, number and digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from hvae_core.config import Component, Config, Overrides, create_component, parse_config
from hvae_core.data.arrays import ArraySource
from hvae_core.data.own_images import ValuesOptions
from hvae_core.data.python_objects import open_object
from hvae_core.errors import BadInputError, ConfigError, DataError, did_you_mean
from hvae_core.interfaces import Dataset, ImageSource, ImageValues, Shape3

#: the data set that stands in a configuration for images given as Python objects
PYTHON = "python"
#: the options of the data set given up that hold for the images in its place, beside its values
KEPT = ("flip", "binarization")
#: images that a digest covers of those that are not in memory
_DIGESTED = 1024
_CHUNK = 1024


def names_a_dataset(data: Any) -> bool:
    """Whether it is a data set's name, or a mapping with its name and options."""
    if isinstance(data, Mapping):
        is_plain = any(isinstance(v, str | int | float | None) for v in data.values())
        return "name" in data or is_plain or not data
    return isinstance(data, str | Component)


def train_on(config: Config, data: Any, overrides: Overrides = ()) -> tuple[Config, Dataset]:
    """The configuration of a run on given images, and the data set.

    Args:
        config: whose data set they take the place of; of its options, `KEPT` stay.
        data: a Python object, see `open_object`; or a mapping of split names to such, with a
            split ``"train"``.
        overrides: see `hvae_core.config.apply_overrides`; of options of the data set `PYTHON` too.

    Raises:
        ConfigError: an override is not valid.
        DataError: see `open_object`; or there is no split ``"train"``.
    """
    values = config.to_dict()
    values["data"] = {"name": PYTHON, "type": _type_name(data), **_kept(config)}
    chosen = parse_config(values, overrides)
    if chosen.data.name != PYTHON:
        raise ConfigError(
            f"data.name is {chosen.data.name!r}, but images are given as well.",
            "Leave one of them out.",
        )
    sources = _open_splits(data, chosen.model.image_shape, "train", chosen.image_values)
    if "train" not in sources:
        raise DataError("dataset has no split 'train'.", did_you_mean("train", sources))
    component = chosen.data.with_options(
        shape=chosen.model.image_shape,
        images={split: len(source) for split, source in sources.items()},
        digest={split: digest(source) for split, source in sources.items()},
    )
    return chosen.model_copy(update={"data": component}), component.build(sources)


def evaluate_on(config: Config, data: Any, shape: Shape3, split: str) -> Dataset:
    """The data set of given images that a model is measured on.

    Args:
        config: of the model; its binarization holds for them.
        data: a Python object, which is ``split``, or a mapping of split names to such.
        shape: [H, W, C] that the model needs.
        split: the split asked for.

    Raises:
        DataError: see `open_object`.
    """
    sources = _open_splits(data, shape, split, config.image_values)
    component = create_component(
        "dataset",
        {
            "name": PYTHON,
            "type": _type_name(data),
            "images": {name: len(source) for name, source in sources.items()},
            **_kept(config),
        },
    )
    return component.build(sources)


def check_same_images(before: Component, now: Component, run: Any) -> None:
    """Refuse to go on with a run with other images than it was started with.

    Args:
        before: the run's data set.
        now: the one given.
        run: the run's folder, for messages.

    Raises:
        ConfigError: one of them is given as Python objects, and they are not the same.
    """
    if PYTHON not in (before.name, now.name):
        return
    if before.name != PYTHON:
        raise ConfigError(
            f"The run in {run} was started with the data set {before.name!r}, not with images "
            "given as dataset=.",
            "Resume it without them, or start a new run in another output folder.",
        )
    told = f"The run in {run} was started with {described(before)}"
    if now.name != PYTHON:
        raise ConfigError(f"{told}, not with the data set {now.name!r}.", GIVE_AGAIN)
    # A run that is resumed by its own configuration has nothing else to compare.
    if before.options.digest.get("train") != now.options.digest.get("train"):
        raise ConfigError(
            f"{told}; those given now are other ones.",
            f"{GIVE_AGAIN} To go on with other ones, add allow_changed_data=True.",
        )


GIVE_AGAIN = "Give the same images: hvae.train(..., resume=True, dataset=images)."


def described(component: Component) -> str:
    """The images of a data set `PYTHON`, in words."""
    options = component.options
    counts = " and ".join(f"{count:,} {split}" for split, count in options.images.items())
    size = "x".join(str(side) for side in options.shape or ())
    return f"the {counts} images ({size}) of a {options.type}"


def digest(source: ImageSource) -> str:
    """What identifies images: SHA-256 of shape, number and pixels.

    Of images in an array it covers all, of others `_DIGESTED`, evenly spaced.

    Returns:
        ``sha256:`` and hexadecimal digits; ``sha256-of-1024:`` where not all images are covered.
    """
    count = len(source)
    indices = np.arange(count)
    if not isinstance(source, ArraySource) and count > _DIGESTED:
        indices = np.linspace(0, count - 1, _DIGESTED).astype(np.int64)
    result = hashlib.sha256(f"{count} {list(source.shape)}".encode())
    dtype = source.batch(indices[:0]).dtype
    if dtype != np.uint8:
        result.update(str(dtype).encode())
    for start in range(0, len(indices), _CHUNK):
        images = source.batch(indices[start : start + _CHUNK])
        result.update(np.ascontiguousarray(images).data)
    part = "" if len(indices) == count else f"-of-{len(indices)}"
    return f"sha256{part}:{result.hexdigest()}"


def _open_splits(
    data: Any, shape: Shape3, split: str, values: ImageValues
) -> dict[str, ImageSource]:
    if isinstance(data, Dataset):
        raise BadInputError(
            f"dataset is hvae's own {type(data).__name__}.",
            "Name it, with its options: dataset={'name': ..., ...}.",
        )
    if not isinstance(data, Mapping):
        return {split: open_object(data, shape, values=values)}
    return {
        str(name): open_object(part, shape, f"dataset[{name!r}]", values)
        for name, part in data.items()
    }


def _kept(config: Config) -> dict[str, Any]:
    options = config.data.to_dict()
    values = ValuesOptions.of(config.image_values).model_dump(mode="json")
    return {key: options[key] for key in KEPT if key in options} | {"values": values}


def _type_name(data: Any) -> str:
    """Of the object, of the first split's if there are several, or of a pair's images."""
    while isinstance(data, Mapping | tuple) and len(data):
        data = next(iter(data.values() if isinstance(data, Mapping) else data))
    kind = type(data)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"
