"""Weights end to end in one vector, so that one operation updates all of them.

A deep model has thousands of weights, and a program that updates each by itself is mostly that: of
VDVAE's 43 layers, seven operations in ten. Where an optimizer treats every number by itself, the
numbers may as well lie in one vector, whose parts the model is given. What a checkpoint keeps is
named and shaped as if they did not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np
from keras import ops

from hvae_core.backends.many_tensors import split_vector
from hvae_core.errors import PluginError
from hvae_core.interfaces import Tensor

Key = TypeVar("Key", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an array lies.

    Args:
        variable: the Keras variable that holds it.
        shape: the array's.
        start: of its numbers in a vector; None: the variable is the array.
    """

    variable: keras.Variable
    shape: tuple[int, ...]
    start: int | None = None

    @property
    def part(self) -> slice:
        """Its numbers in the vector."""
        start = self.start or 0
        return slice(start, start + math.prod(self.shape))

    @classmethod
    def whole(cls, variable: keras.Variable) -> Place:
        """A variable of its own."""
        return cls(variable, tuple(variable.shape))


def read(places: Mapping[Key, Place]) -> dict[Key, np.ndarray]:
    """The arrays that lie there, by name; they do not change with the variables."""
    whole: dict[int, np.ndarray] = {}
    arrays = {}
    for name, place in places.items():
        key = id(place.variable)
        if key not in whole:
            whole[key] = np.array(ops.convert_to_numpy(place.variable.value))
        array = whole[key]
        arrays[name] = array if place.start is None else array[place.part].reshape(place.shape)
    return arrays


def write(places: Mapping[Key, Place], arrays: Mapping[Key, np.ndarray]) -> None:
    """Put arrays where those of the same names lie."""
    vectors: dict[int, tuple[keras.Variable, np.ndarray]] = {}
    for name, place in places.items():
        variable = place.variable
        if place.start is None:
            variable.assign(arrays[name])
            continue
        if id(variable) not in vectors:
            vectors[id(variable)] = (variable, np.zeros(variable.shape, arrays[name].dtype))
        vectors[id(variable)][1][place.part] = np.ravel(arrays[name])
    for variable, vector in vectors.values():
        variable.assign(vector)


class JoinedWeights:
    """Weights of one type, end to end in one vector.

    The vector holds no numbers of theirs before `join`, and they hold none of the vector's before
    `part`: which of the two is up to date is known to whoever calls them.

    Args:
        weights: Keras variables of one type.
        name: of the vector.
    """

    def __init__(self, weights: Sequence[keras.Variable], name: str) -> None:
        self.weights = list(weights)
        self.shapes = [tuple(weight.shape) for weight in self.weights]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        self.variable = keras.Variable(
            np.zeros(sum(self.sizes), np.float32),
            dtype=self.weights[0].dtype, name=name,
        )  # fmt: skip

    def places(self, variable: keras.Variable) -> Iterator[Place]:
        """Each weight's place in a vector of this one's kind, such as that of a moment."""
        start = 0
        for shape, size in zip(self.shapes, self.sizes, strict=True):
            yield Place(variable, shape, start)
            start += size

    def values(self) -> list[Tensor]:
        """The weights as the vector has them, tensors of the program that is being made."""
        parts = split_vector(self.variable.value, self.sizes)
        return [ops.reshape(part, s) for part, s in zip(parts, self.shapes, strict=True)]

    def numbers(self) -> np.ndarray:
        """The weights as they are, end to end."""
        return np.concatenate([np.ravel(ops.convert_to_numpy(w.value)) for w in self.weights])

    def join(self) -> None:
        """Take the weights into the vector."""
        self.variable.assign(self.numbers())

    def part(self) -> None:
        """Give the weights what the vector holds."""
        places = dict(enumerate(self.places(self.variable)))
        for weight, array in zip(self.weights, read(places).values(), strict=True):
            weight.assign(array)


class _Made(NamedTuple):
    """A state variable that belongs to a weight: whose, which, and what was tracked before it."""

    weight: int
    name: tuple[str | None, int]
    variable: keras.Variable
    before: int


@contextmanager
def _noting(
    optimizer: Any, weights: Sequence[keras.Variable], making: bool
) -> Iterator[list[_Made]]:
    """Inside, the state that an optimizer makes for each weight is noted; perhaps not made."""
    make = optimizer.add_variable_from_reference
    numbers = {id(weight): number for number, weight in enumerate(weights)}
    made: list[_Made] = []
    counts: dict[tuple[int, str | None], int] = {}

    def add(reference_variable: Any, name: str | None = None, **options: Any) -> keras.Variable:
        weight = numbers[id(reference_variable)]
        count = counts[weight, name] = counts.get((weight, name), -1) + 1
        before = len(optimizer.variables)
        # In place of what is not made, one that is tracked already.
        variable = make(reference_variable, name, **options) if making else optimizer.iterations
        made.append(_Made(weight, (name, count), variable, before))
        return variable

    optimizer.add_variable_from_reference = add
    try:
        yield made
    finally:
        del optimizer.add_variable_from_reference


def build_joined(
    optimizer: Any,
    other: Any,
    joined: Sequence[JoinedWeights],
    weights: Sequence[keras.Variable],
) -> list[Place]:
    """Build an optimizer for vectors of weights.

    Args:
        optimizer: not built yet.
        other: another like it, which is built for nothing but the order of its state.
        joined: the weights in vectors.
        weights: the same, in the order that they have without vectors.

    Returns:
        Its state as if each weight were by itself, in the order that the optimizer would have it.

    Raises:
        PluginError: its state does not follow from the weights'.
    """
    vectors = [part.variable for part in joined]
    with _noting(optimizer, vectors, making=True) as made:
        optimizer.build(vectors)
    with _noting(other, weights, making=False) as wanted:
        other.build(list(weights))
    of_weights = {id(entry.variable) for entry in made}
    shared = [Place.whole(v) for v in optimizer.variables if id(v) not in of_weights]
    places = {
        (id(weight), entry.name): place
        for entry in made
        for weight, place in zip(
            joined[entry.weight].weights, joined[entry.weight].places(entry.variable), strict=True
        )
    }
    names = {(id(weights[entry.weight]), entry.name) for entry in wanted}
    if names != set(places) or len(shared) != len(other.variables):
        raise PluginError(
            f"The optimizer {type(optimizer).__name__} says that it is elementwise, but its state "
            "is not made by Keras's add_optimizer_variables or add_variable_from_reference alone.",
            "Update or uninstall the package it comes from.",
        )
    state: list[Place] = []
    taken = 0
    for entry in wanted:
        state += shared[taken : entry.before]
        taken = entry.before
        state.append(places[id(weights[entry.weight]), entry.name])
    return [*state, *shared[taken:]]
