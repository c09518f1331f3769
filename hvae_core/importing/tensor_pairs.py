"""A checkpoint's tensors of PyTorch's layout and ours: names and layouts, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from hvae_core.errors import WeightsError
from hvae_core.weights.model_weights import misfits


class TensorPair(NamedTuple):
    """One tensor in both.

    ``layout`` says how the original's lies in memory: a convolution's kernel OIHW (ours HWIO), a
    map NCHW (ours NHWC), channels [1, C, 1, 1] (ours [C]), or a vector [C] as ours. ``rolled``: our
    output channels begin at this one of theirs.
    """

    original: str
    name: str
    shape: tuple[int, ...]
    layout: Literal["kernel", "map", "channels", "vector"]
    rolled: int = 0

    @property
    def our_shape(self) -> tuple[int, ...]:
        """The shape of ours."""
        return self.to_ours(np.broadcast_to(np.float32(0), self.shape)).shape

    def to_ours(self, array: np.ndarray) -> np.ndarray:
        """The original's tensor as ours."""
        if self.layout == "kernel":
            array = array.transpose(2, 3, 1, 0)
        elif self.layout == "map":
            array = array.transpose(0, 2, 3, 1)
        elif self.layout == "channels":
            array = array.reshape(-1)
        if self.rolled:
            array = np.roll(array, -self.rolled, axis=-1)
        return np.ascontiguousarray(array)

    def to_theirs(self, array: np.ndarray) -> np.ndarray:
        """Our tensor as the original's."""
        if self.rolled:
            array = np.roll(array, self.rolled, axis=-1)
        if self.layout == "kernel":
            array = array.transpose(3, 2, 0, 1)
        elif self.layout == "map":
            array = array.transpose(0, 3, 1, 2)
        elif self.layout == "channels":
            array = array.reshape(1, -1, 1, 1)
        return np.ascontiguousarray(array)


def mismatches(tensors: Mapping[str, np.ndarray], pairs: Sequence[TensorPair]) -> list[str]:
    """In words, what is amiss with a checkpoint's tensors; empty where they fit."""
    return misfits(
        {name: array.shape for name, array in tensors.items()},
        {pair.original: pair.shape for pair in pairs},
        "tensor",
    )


def to_ours(
    tensors: Mapping[str, np.ndarray], pairs: Sequence[TensorPair], hint: str
) -> dict[str, np.ndarray]:
    """A checkpoint's tensors under our names and in our layouts.

    Args:
        tensors: its state dict.
        pairs: all tensors of the network.
        hint: what to do where they do not fit.

    Raises:
        WeightsError: a tensor is missing, unexpected or of another shape.
    """
    if faults := mismatches(tensors, pairs):
        raise WeightsError(
            f"The checkpoint does not fit the configuration: {'; '.join(faults)}.", hint
        )
    return {pair.name: pair.to_ours(tensors[pair.original]) for pair in pairs}


def to_theirs(
    arrays: Mapping[str, np.ndarray], pairs: Sequence[TensorPair]
) -> dict[str, np.ndarray]:
    """Our weights under the checkpoint's names and in its layouts, the inverse of `to_ours`.

    Args:
        arrays: all weights of a model, by our names.
        pairs: all tensors of the network.

    Raises:
        WeightsError: a weight is missing, of another shape, or none of the network's.
    """
    shapes = {name: array.shape for name, array in arrays.items()}
    wanted = {pair.name: pair.our_shape for pair in pairs}
    if faults := misfits(shapes, wanted, "weight"):
        raise WeightsError(f"The weights do not fit the checkpoint: {'; '.join(faults)}.")
    return {pair.original: pair.to_theirs(np.asarray(arrays[pair.name])) for pair in pairs}
