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
#: the streams of an image's words
NORMAL, UNIFORM = 0, 1
#: what a word counts in, where all of them are 1
WORD = np.float32(2.0**-32)
#: 2 pi
TURN = np.float32(2.0 * math.pi)


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
        # not -1: an array of no numbers has no row to find
        rows = len(flat) if isinstance(flat, np.ndarray) else ops.shape(flat)[0]
        layers.append(reshape(flat[:, start : start + size], (rows, *shape)))
        start += size
    return layers


def total_size(shapes: Sequence[Shape3]) -> int:
    """Numbers that one image's pass uses."""
    return sum(math.prod(shape) for shape in shapes)


def draw(
    stream: int, shapes: Sequence[Shape3], images: Sequence[int] | np.ndarray, seed: int
) -> list[np.ndarray]:
    """Numbers that images own, ``[B, *shape]`` for each of the shapes.

    Args:
        stream: `NORMAL` or `UNIFORM`, see `draw_normal` and `draw_uniform`.
        shapes: of an image's arrays.
        images: the images' indices.
        seed: of the numbers.
    """
    if stream == NORMAL:
        return split_layers(draw_normal(shapes, images, seed), shapes)
    return split_layers(draw_uniform((total_size(shapes),), images, seed), shapes)


def draw_normal(
    shapes: Sequence[Shape3], images: int | Sequence[int] | np.ndarray, seed: int, offset: int = 0
) -> np.ndarray:
    """Standard-normal numbers [B, total_size(shapes)] of B images.

    An image's row depends on ``seed`` and its index alone, and is the same on every backend: those
    of Box and Muller 1958 from the words of `words_of`, a pair from each two.

    Args:
        shapes: of the latent layers.
        images: the images' indices, or how many there are.
        seed: of the numbers, from 0 to 2**64 - 1.
        offset: index of the first image, where ``images`` is their number.
    """
    size = total_size(shapes)
    return _rows((size,), _indices(images, offset), lambda image: normal_part(seed, image, 0, size))


def draw_uniform(
    shape: Sequence[int], images: int | Sequence[int] | np.ndarray, seed: int, offset: int = 0
) -> np.ndarray:
    """Numbers ``[B, *shape]`` from 0 to below 1, row by row as in `draw_normal`.

    They are the upper 24 bits of each word.
    """
    size = math.prod(shape)
    return _rows(shape, _indices(images, offset), lambda image: uniform_part(seed, image, 0, size))


def normal_part(seed: int, image: int, start: int, stop: int) -> np.ndarray:
    """The numbers ``start`` to ``stop`` of an image's row of `draw_normal`, without the others."""
    first = start // 2 * 2
    words = words_of(seed, NORMAL, image, first, stop + stop % 2 - first).reshape(-1, 2).T
    one, two = words.astype(np.float32)
    radius = np.sqrt(np.float32(-2.0) * np.log((one + np.float32(0.5)) * WORD))
    angle = two * (WORD * TURN)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return pairs.reshape(-1)[start - first : stop - first]


def uniform_part(seed: int, image: int, start: int, stop: int) -> np.ndarray:
    """The numbers ``start`` to ``stop`` of an image's row of `draw_uniform`, without the others."""
    words = words_of(seed, UNIFORM, image, start, stop - start)
    return (words >> 8).astype(np.float32) * np.float32(2.0**-24)


def words_of(seed: int, stream: int, image: int, first: int, count: int) -> np.ndarray:
    """Random words uint32 [count] of an image, from word ``first`` on.

    Philox 4x64 of ten rounds (Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3), so
    that any of them can be had without those before: the key is the seed and the stream, a block of
    eight words has the counter (its number + 1, image, 0, 0).
    """
    block, skipped = divmod(first, 8)
    generator = np.random.Philox(key=[seed, stream], counter=[block, image, 0, 0])
    raw = generator.random_raw((skipped + count + 1) // 2)
    return raw.astype("<u8", copy=False).view("<u4")[skipped : skipped + count]


def _indices(images: int | Sequence[int] | np.ndarray, offset: int) -> Sequence[int] | np.ndarray:
    return range(offset, offset + images) if isinstance(images, int) else images


def _rows(
    shape: Sequence[int],
    indices: Sequence[int] | np.ndarray,
    draw: Callable[[int], np.ndarray],
) -> np.ndarray:
    """Rows [B, *shape], each of its image; on all cores if they are many."""
    out = np.empty((len(indices), *shape), np.float32)

    def fill(row: int) -> None:
        out[row] = draw(int(indices[row])).reshape(shape)

    if out.size < _WORTH_THREADS or len(out) == 1:
        for row in range(len(out)):
            fill(row)
    else:  # NumPy lets go of the interpreter's lock while it draws
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(fill, range(len(out))))
    return out


def fold_seed(*numbers: int) -> int:
    """One 31-bit seed from several numbers, such as (seed, step)."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
