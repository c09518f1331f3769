"""Tensors in parts, by one operation whose gradient is one as well.

The gradient of a slice is an array of zeros of the whole's size, and those of all slices are added:
a sixth of an update of the default model on TensorFlow.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import keras

from hvae_core.interfaces import Tensor


def split_channels(x: Tensor, widths: Sequence[int]) -> list[Tensor]:
    """The channels of [..., C] in groups of these widths, which add up to C."""
    backend = keras.config.backend()
    if backend == "torch":
        import torch

        return list(torch.split(x, list(widths), dim=-1))
    if backend == "tensorflow":
        import tensorflow as tf

        return list(tf.split(x, list(widths), axis=-1))
    ends = list(itertools.accumulate(widths))
    if backend == "jax":
        import jax.numpy as jnp

        return list(jnp.split(x, ends[:-1], axis=-1))
    # Keras's own split has no shapes on OpenVINO, which knows no gradients.
    return [x[..., end - width : end] for end, width in zip(ends, widths, strict=True)]


def unstack(x: Tensor, axis: int) -> list[Tensor]:
    """The parts of ``x`` along an axis, which they lack."""
    if keras.config.backend() == "torch":
        import torch

        return list(torch.unbind(x, dim=axis))
    return list(keras.ops.unstack(x, axis=axis))
