"""The random numbers of a pass: an argument, never drawn inside a layer.

Recorded numbers give the same pass on every backend. Numbers drawn from a seed belong to an image's
index: they depend neither on the size of the batch it is in nor on the backend. Exported models use
them too, so nothing here imports Keras at the top.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from hvae_core.files.threads import cores
from hvae_core.interfaces import Shape3, Tensor

#: numbers (about 5 ms of drawing) from which threads are worth their start
_WORTH_THREADS = 1_000_000


class Noise:
    """One array [B, h, w, c] for each latent layer, coarsest first.

    Args:
        layers: the arrays.
    """

    def __init__(self, layers: Sequence[Tensor]) -> None:
        self.layers = list(layers)

    @classmethod
    def from_flat(cls, flat: Tensor, shapes: Sequence[Shape3]) -> Noise:
        """Cut [B, N] into the layers' arrays, N being the sum of their sizes."""
        return cls(split_layers(flat, shapes))

    def __getitem__(self, index: int) -> Tensor:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)


def split_layers(flat: Tensor, shapes: Sequence[Shape3]) -> list[Tensor]:
    """Cut [B, N], a tensor or a NumPy array, into the layers' arrays [B, h, w, c]."""
    if isinstance(flat, np.ndarray):
        reshape: Any = np.reshape
    else:
        from keras import ops

        reshape = ops.reshape
    layers, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        layers.append(reshape(flat[:, start : start + size], (-1, *shape)))
        start += size
    return layers


def total_size(shapes: Sequence[Shape3]) -> int:
    """Numbers that one image's pass uses."""
    return sum(math.prod(shape) for shape in shapes)


def draw_normal(
    shapes: Sequence[Shape3], images: int | Sequence[int] | np.ndarray, seed: int, offset: int = 0
) -> np.ndarray:
    """Standard-normal numbers [B, total_size(shapes)] of B images.

    An image's row depends on ``seed`` and its index alone, and is the same on every backend.

    Args:
        shapes: of the latent layers.
        images: the images' indices, or how many there are.
        seed: of the numbers.
        offset: index of the first image, where ``images`` is their number.
    """
    return _draw(
        (total_size(shapes),), (seed, 0), _indices(images, offset),
        lambda generator, row: generator.standard_normal(dtype=np.float32, out=row),
    )  # fmt: skip


def draw_uniform(
    shape: Sequence[int], images: int | Sequence[int] | np.ndarray, seed: int, offset: int = 0
) -> np.ndarray:
    """Uniform(0, 1) numbers ``[B, *shape]``, row by row as in `draw_normal`."""
    return _draw(
        shape, (seed, 1), _indices(images, offset),
        lambda generator, row: generator.random(dtype=np.float32, out=row),
    )  # fmt: skip


def generator_of(seed: int, image: int, uniform: bool = False) -> np.random.Generator:
    """What draws an image's row of `draw_normal`, or of `draw_uniform`: number after number."""
    return _generator((seed, int(uniform)), image)


def _generator(stream: tuple[int, int], image: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([*stream, image])))


def _indices(images: int | Sequence[int] | np.ndarray, offset: int) -> Sequence[int] | np.ndarray:
    return range(offset, offset + images) if isinstance(images, int) else images


def _draw(
    shape: Sequence[int],
    stream: tuple[int, int],
    indices: Sequence[int] | np.ndarray,
    fill: Callable[[np.random.Generator, np.ndarray], object],
) -> np.ndarray:
    """Rows [B, *shape], each from the generator of its image; on all cores if they are many."""
    out = np.empty((len(indices), *shape), np.float32)

    def draw(row: int) -> None:
        fill(_generator(stream, int(indices[row])), out[row])

    if out.size < _WORTH_THREADS or len(out) == 1:
        for row in range(len(out)):
            draw(row)
    else:  # NumPy lets go of the interpreter's lock while it draws
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(draw, range(len(out))))
    return out


def fold_seed(*numbers: int) -> int:
    """One 31-bit seed from several numbers, such as (seed, step)."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
