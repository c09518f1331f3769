"""What a layer attends to, and the attention at each pixel: pure functions of tensors.

Sources of a coarser scale are never upsampled. Nearest upsampling gives all f x f pixels of a
square the same keys and values, so their queries are gathered instead and meet the source at its
own pixel: the same numbers, without f^2 copies of every source.
"""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.layers import factor_between, pool_average


class Stack(NamedTuple):
    """The n sources of a scale side by side, no longer added to.

    ``values`` [B, h, w, n, C]; ``keys`` [B, h, w, n, d], or None where nobody has a choice.
    """

    keys: Tensor
    values: Tensor


class Sources(NamedTuple):
    """What a layer may attend to: ``stacks`` of other scales and a growing list of its own.

    Each of ``keys`` is [B, H, W, d] (None: see `Stack`) and each of ``values`` [B, H, W, C].
    """

    stacks: tuple[Stack, ...] = ()
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()

    def add(self, key: Tensor, value: Tensor) -> Sources:
        """These sources and one more of this scale."""
        return Sources(self.stacks, (*self.keys, key), (*self.values, value))

    def closed(self) -> Sources:
        """The same with the list as a stack: the next scale begins."""
        if not self.values:
            return self
        keys = None if self.keys[0] is None else ops.stack(self.keys, axis=3)
        return Sources((*self.stacks, Stack(keys, ops.stack(self.values, axis=3))))


def pool(stack: Stack, size: tuple[int, int]) -> Stack:
    """The sources of a finer scale at a coarser one's size: the mean of each rectangle."""
    pooled = []
    for tensor in stack:
        if tensor is not None:
            _, height, width, count, channels = tensor.shape
            flat = ops.reshape(tensor, (-1, height, width, count * channels))
            tensor = ops.reshape(
                pool_average(flat, factor_between((height, width), size)),
                (-1, *size, count, channels),
            )
        pooled.append(tensor)
    return Stack(*pooled)


def append(stack: Stack | None, key: Tensor, value: Tensor) -> Stack:
    """``stack`` and one source more."""
    value = value[:, :, :, None]
    key = None if key is None else key[:, :, :, None]
    if stack is None:
        return Stack(key, value)
    keys = None if key is None else ops.concatenate([stack.keys, key], axis=3)
    return Stack(keys, ops.concatenate([stack.values, value], axis=3))


def gather(x: Tensor, size: tuple[int, int]) -> Tensor:
    """[B, f h, g w, Q, c] -> [B, h, w, f g Q, c]: the pixels that share a source's pixel.

    Args:
        x: at each pixel.
        size: h and w.
    """
    _, height, width, count, channels = x.shape
    down, across = height // size[0], width // size[1]
    if down * across > 1:
        x = ops.reshape(x, (-1, size[0], down, size[1], across, count * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, *size, down * across * count, channels))


def scatter(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `gather`, to ``size``: [B, h, w, f g Q, c] -> [B, f h, g w, Q, c]."""
    _, height, width, count, channels = x.shape
    down, across = size[0] // height, size[1] // width
    count //= down * across
    if down * across > 1:
        x = ops.reshape(x, (-1, height, width, down, across, count * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, *size, count, channels))


def attention_weights(query: Tensor, sources: Sources) -> Tensor:
    """``softmax_j(q . k_j / sqrt d)`` over the n sources at each pixel, float32.

    Args:
        query: [B, H, W, Q, d].
        sources: all with keys.

    Returns:
        [B, H, W, Q, n], the stacks' first; they sum to 1 over n.
    """
    found = []
    for stack in sources.stacks:
        gathered = gather(query, tuple(stack.keys.shape[1:3]))
        scores = ops.matmul(gathered, ops.swapaxes(stack.keys, -1, -2))
        found.append(scatter(scores, tuple(query.shape[1:3])))
    if sources.keys:
        # Products and sums, one source after the other: no stack is made anew in each layer.
        own = [ops.sum(query * key[:, :, :, None], axis=-1) for key in sources.keys]
        found.append(ops.stack(own, axis=-1))
    scores = ops.cast(ops.concatenate(found, axis=-1), "float32")
    return ops.softmax(scores * query.shape[-1] ** -0.5, axis=-1)


def weighted_sum(weights: Tensor, sources: Sources) -> Tensor:
    """``sum_j w_j v_j``: weights [B, H, W, Q, n], as `attention_weights`, -> [B, H, W, Q, C]."""
    total, start = None, 0
    for stack in sources.stacks:
        count = stack.values.shape[3]
        part = gather(weights[..., start : start + count], tuple(stack.values.shape[1:3]))
        term = scatter(ops.matmul(part, stack.values), tuple(weights.shape[1:3]))
        total = term if total is None else total + term
        start += count
    for place, value in enumerate(sources.values, start):
        term = weights[..., place, None] * value[:, :, :, None]
        total = term if total is None else total + term
    return total
