"""Orthogonal maps as products of Householder reflections, exact to rounding."""

from __future__ import annotations

from collections.abc import Iterable

from keras import ops

from hvae_core.interfaces import Tensor


def unit(vectors: Tensor) -> Tensor:
    """``vectors`` [..., n] with length 1; a zero vector stays zero, its reflection the identity."""
    return vectors / ops.sqrt(ops.sum(vectors * vectors, axis=-1, keepdims=True) + 1e-30)


def reflect(x: Tensor, vectors: Tensor, axis: int = -1) -> Tensor:
    """(I - 2 v v^T / v^T v) x along ``axis`` of x, v [..., n] having one axis less if it is -2.

    By elementwise products and sums, which no reduced matrix precision can touch.
    """
    v = unit(vectors)
    if axis == -2:
        v = v[..., None]
    return x - 2.0 * v * ops.sum(v * x, axis=axis, keepdims=True)


def reflect_all(x: Tensor, vectors: Tensor, order: Iterable[int]) -> Tensor:
    """``x`` [..., n] reflected along its last axis by ``vectors`` [R, n], one after the other."""
    units = unit(vectors)
    for index in order:
        v = units[index]
        x = x - 2.0 * v * ops.sum(v * x, axis=-1, keepdims=True)
    return x
