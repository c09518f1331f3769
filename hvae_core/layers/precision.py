"""In which precision layers compute, and from which seed their weights are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import keras


def density_dtype() -> str:
    """What densities are computed in under the current policy: float32, or float64 if asked for."""
    return "float64" if keras.config.dtype_policy().name == "float64" else "float32"


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made inside compute in this precision, whatever the user's ``keras.json`` says.

    Keras's default float type is float32 and its images are channels-last inside; all of it is the
    user's again after.
    """
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    data_format = keras.config.image_data_format()
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_image_data_format(data_format)
        keras.config.set_dtype_policy(policy)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights made inside follow ``seed``; restores Python's generator after."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
