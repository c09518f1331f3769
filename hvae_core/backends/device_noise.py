"""The numbers of `hvae_core.prob.noise`, drawn where they are used.

A GPU would wait for a processor that draws 400,000 numbers an image. The words are the same to the
bit; the normal numbers differ by what a logarithm, a sine and a cosine are rounded by, below 1e-6.
There are no unsigned types and none of 64 bits on every backend, so that a number of 64 bits is two
of 32, whose sign has no meaning.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from hvae_core.backends.compiling import compiled
from hvae_core.backends.devices import local_devices, replicated
from hvae_core.interfaces import Shape3, Tensor
from hvae_core.prob.noise import NORMAL, TURN, WORD, draw, split_layers, total_size

#: Philox 4x64 (Salmon et al. 2011): what is multiplied by, and what a round adds to the key
_FACTORS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_HALF = 0xFFFF
#: a number of 64 bits: its upper and its lower half
Words = tuple[Tensor, Tensor]


def draws_on_device() -> bool:
    """Whether noise is drawn on the device: one that is no processor."""
    if keras.config.backend() == "openvino" or replicated() is not None:
        return False
    first = local_devices()[0]
    return getattr(first, "platform", str(first).partition(":")[0]) != "cpu"


def draw_on_device(
    stream: int, shapes: Sequence[Shape3], images: Sequence[int] | np.ndarray, seed: int
) -> list[Tensor]:
    """`hvae_core.prob.noise.draw`, on the device."""
    if not total_size(shapes):
        return list(draw(stream, shapes, images, seed))
    program = _program(stream, tuple(tuple(shape) for shape in shapes))
    return program(round_keys(seed, stream), image_words(images))


@functools.lru_cache(maxsize=16)
def _program(stream: int, shapes: tuple[Shape3, ...]) -> Callable[..., list[Tensor]]:
    numbers = normal if stream == NORMAL else uniform

    def drawn(keys: Tensor, images: Tensor) -> list[Tensor]:
        given = ops.convert_to_tensor(keys), ops.convert_to_tensor(images)
        return split_layers(numbers(*given, total_size(shapes)), shapes)

    return compiled(drawn, [])


def round_keys(seed: int, stream: int) -> np.ndarray:
    """The key of each round, int32 [10, 4]: of the seed and of the stream, upper halves first."""
    keys = [
        [
            (start + number * step) % 2**64
            for start, step in zip((seed, stream), _STEPS, strict=True)
        ]
        for number in range(_ROUNDS)
    ]
    return (
        np.asarray([[_halves(key) for key in row] for row in keys], "u4").view("i4").reshape(-1, 4)
    )


def image_words(indices: Sequence[int] | np.ndarray) -> np.ndarray:
    """The images' indices as int32 [B, 2], upper halves first."""
    return np.asarray([_halves(int(index)) for index in indices], "u4").view("i4").reshape(-1, 2)


def _halves(number: int) -> tuple[int, int]:
    return number >> 32, number & 0xFFFFFFFF


def normal(keys: Tensor, images: Tensor, count: int) -> Tensor:
    """`draw_normal`'s numbers float32 [B, count].

    Args:
        keys: `round_keys`.
        images: `image_words`.
        count: of each image.
    """
    pairs = ops.reshape(words(keys, images, count + count % 2), (-1, (count + 1) // 2, 2))
    one, two = _as_numbers(pairs[..., 0]), _as_numbers(pairs[..., 1])
    radius = ops.sqrt(-2.0 * ops.log((one + 0.5) * WORD))
    angle = two * (WORD * TURN)
    drawn = ops.stack([radius * ops.cos(angle), radius * ops.sin(angle)], axis=-1)
    return ops.reshape(drawn, (-1, count + count % 2))[:, :count]


def uniform(keys: Tensor, images: Tensor, count: int) -> Tensor:
    """`draw_uniform`'s numbers float32 [B, count]; arguments as of `normal`."""
    upper = ops.bitwise_and(ops.right_shift(words(keys, images, count), 8), 0xFFFFFF)
    return ops.cast(upper, "float32") * np.float32(2.0**-24)


def words(keys: Tensor, images: Tensor, count: int) -> Tensor:
    """`words_of` images, int32 [B, count]; arguments as of `normal`."""
    blocks = -(-count // 8)
    numbers = ops.expand_dims(ops.arange(1, blocks + 1, dtype="int32"), 0)
    nothing = ops.zeros((ops.shape(images)[0], blocks), dtype="int32")
    upper, lower = (ops.expand_dims(images[:, half], 1) for half in (0, 1))
    counter = [nothing, nothing + numbers, nothing + upper, nothing + lower, *[nothing] * 4]

    def turn(number: Tensor, state: Sequence[Tensor]) -> list[Tensor]:
        a, b, c, d = zip(state[0::2], state[1::2], strict=True)
        key = keys[number]
        first, second = _product(a, _FACTORS[0]), _product(c, _FACTORS[1])
        mixed = _xor(_xor(second[0], b), (key[0], key[1]))
        other = _xor(_xor(first[0], d), (key[2], key[3]))
        return [*mixed, *second[1], *other, *first[1]]

    state = ops.fori_loop(0, _ROUNDS, turn, counter)
    # the lower half of each number comes first, as in a processor's memory
    halves = [state[place] for pair in range(4) for place in (2 * pair + 1, 2 * pair)]
    return ops.reshape(ops.stack(halves, axis=-1), (-1, 8 * blocks))[:, :count]


def _as_numbers(words: Tensor) -> Tensor:
    """Words as float32 from 0 to 2^32, rounded once."""
    upper = ops.bitwise_and(ops.right_shift(words, 16), _HALF)
    lower = ops.bitwise_and(words, _HALF)
    return ops.cast(upper, "float32") * 65536.0 + ops.cast(lower, "float32")


def _xor(a: Words, b: Words) -> Words:
    return ops.bitwise_xor(a[0], b[0]), ops.bitwise_xor(a[1], b[1])


def _product(a: Words, factor: int) -> tuple[Words, Words]:
    """The 128 bits of a product: upper and lower number; by hand, in digits of 16 bits."""
    digits = [
        ops.bitwise_and(ops.right_shift(word, shift), _HALF)
        for word in (a[1], a[0])
        for shift in (0, 16)
    ]
    columns: list[list[Tensor]] = [[] for _ in range(8)]
    for place, digit in enumerate(digits):
        for other in range(4):
            # the sign of what fills 32 bits is lost with the bits above
            product = digit * np.uint32(factor >> (16 * other) & _HALF).astype("i4")
            columns[place + other].append(ops.bitwise_and(product, _HALF))
            columns[place + other + 1].append(ops.bitwise_and(ops.right_shift(product, 16), _HALF))
    found: list[Tensor] = []
    carried: Tensor | int = 0
    for column in columns:
        total = sum(column, carried)
        found.append(ops.bitwise_and(total, _HALF))
        carried = ops.right_shift(total, 16)
    pairs = [
        ops.bitwise_or(ops.left_shift(upper, 16), lower)
        for lower, upper in zip(found[0::2], found[1::2], strict=True)
    ]
    return (pairs[3], pairs[2]), (pairs[1], pairs[0])
