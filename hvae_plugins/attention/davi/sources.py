"""What a layer attends to, and the attention at each pixel: pure functions of tensors.

Sources of a coarser scale are never upsampled. Nearest upsampling gives all f x f pixels of a
square the same keys and values, so their queries are gathered instead and meet the source at its
own pixel: the same numbers, without f^2 copies of every source.
"""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from hvae_core.interfaces import Tensor
from hvae_core.layers import pool_average


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


def pool(stack: Stack, factor: int) -> Stack:
    """The sources of a finer scale at a coarser one: the mean of each square."""
    pooled = []
    for tensor in stack:
        if tensor is not None:
            _, height, width, count, channels = tensor.shape
            flat = ops.reshape(tensor, (-1, height, width, count * channels))
            shape = (-1, height // factor, width // factor, count, channels)
            tensor = ops.reshape(pool_average(flat, factor), shape)
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


def gather(x: Tensor, factor: int) -> Tensor:
    """[B, f h, f w, Q, c] -> [B, h, w, f f Q, c]: the pixels that share a source's pixel."""
    _, height, width, count, channels = x.shape
    small = (height // factor, width // factor)
    if factor > 1:
        x = ops.reshape(x, (-1, small[0], factor, small[1], factor, count * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, *small, factor * factor * count, channels))


def scatter(x: Tensor, factor: int) -> Tensor:
    """The inverse of `gather`: [B, h, w, f f Q, c] -> [B, f h, f w, Q, c]."""
    _, height, width, count, channels = x.shape
    count //= factor * factor
    if factor > 1:
        x = ops.reshape(x, (-1, height, width, factor, factor, count * channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, height * factor, width * factor, count, channels))


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
        factor = query.shape[1] // stack.keys.shape[1]
        scores = ops.matmul(gather(query, factor), ops.swapaxes(stack.keys, -1, -2))
        found.append(scatter(scores, factor))
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
        factor, count = weights.shape[1] // stack.values.shape[1], stack.values.shape[3]
        part = gather(weights[..., start : start + count], factor)
        term = scatter(ops.matmul(part, stack.values), factor)
        total = term if total is None else total + term
        start += count
    for place, value in enumerate(sources.values, start):
        term = weights[..., place, None] * value[:, :, :, None]
        total = term if total is None else total + term
    return total
