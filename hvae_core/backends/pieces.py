"""A JAX program in pieces, so that equal blocks are compiled once.

XLA compiles what a program does at each place where it does it: 76 blocks of five kinds cost it 76
blocks, and their way back 76 more. Here the program is traced as a whole, gradients and update
included, and cut where a block begins and ends; equal pieces are one compiled program, and a call
runs them one after the other. What runs is what was traced, in the same order.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from hvae_core.backends.equal_equations import Keys, is_literal
from hvae_core.files.threads import cores

#: names of equations that stand for a block, and for a vector's parts
_BLOCK, _PARTS = "hvae_block", "hvae_parts"

_MARKS: ContextVar[bool] = ContextVar("marks", default=False)


def piece(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, a layer or a method of one, as a piece of a program that is cut.

    Elsewhere it is the function itself.
    """
    return _marked(function, _BLOCK) if _MARKS.get() else function


def parts(function: Callable[[Any], Sequence[Any]]) -> Callable[[Any], Sequence[Any]]:
    """``function``, which gives all parts of a vector in their order, as a piece likewise."""
    return _marked(function, _PARTS) if _MARKS.get() else function


def _marked(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    import jax

    def call(*args: Any) -> Any:
        return function(*args)

    call.__name__ = name
    return jax.jit(call)


@contextmanager
def _marking() -> Iterator[None]:
    token = _MARKS.set(True)
    try:
        yield
    finally:
        _MARKS.reset(token)


class InPieces:
    """A function of tensors, compiled in pieces; for one device, a CPU.

    Args:
        function: ``function(values, *args)`` of pytrees of arrays, pure; it returns a pytree. The
            values are given up: their memory may be that of results.
        options: what XLA is told.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any] | None) -> None:
        self._function, self._options = function, options
        self._plans: dict[Any, Plan] = {}

    def __call__(self, values: Any, *args: Any) -> Any:
        """What the function returns; traced and compiled once for each shape of ``args``."""
        import jax

        args = jax.tree.map(jax.numpy.asarray, args)
        leaves, tree = jax.tree.flatten(args)
        key = tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._plans:
            plan = self.plan(values, *args)
            plan.compile()
            self._plans[key] = plan
        return self._plans[key](values, *args)

    def plan(self, values: Any, *args: Any) -> Plan:
        """The function traced and cut, not compiled yet."""
        import jax

        with _marking():
            traced, shapes = jax.make_jaxpr(self._function, return_shape=True)(values, *args)
        return Plan(traced, len(jax.tree.leaves(values)), jax.tree.structure(shapes), self._options)


@dataclasses.dataclass(frozen=True)
class _Piece:
    """What is called, with which values, what it gives, and what nothing needs after it."""

    program: _Compiled | _OnHost
    takes: list[Any]
    gives: list[Any]
    ends: list[Any]


class Plan:
    """A traced program in pieces.

    Args:
        traced: a closed jaxpr.
        given_up: so many of its first arguments are given up.
        tree: of its results.
        options: what XLA is told.

    Attributes:
        pieces: in the order in which they run.
        programs: what is compiled for them, by key.
    """

    def __init__(
        self, traced: Any, given_up: int, tree: Any, options: dict[str, Any] | None
    ) -> None:
        self._jaxpr, self._constants, self._tree = traced.jaxpr, traced.consts, tree
        self._given_up = set(self._jaxpr.invars[:given_up])
        self._options, self._keys = options, Keys()
        self.programs: dict[Any, _Compiled] = {}
        cuts = self._cut()
        self._shared = self._results_of_others()
        last: dict[Any, int] = {}
        for number, equations in enumerate(cuts):
            last |= dict.fromkeys(_variables(equations, "invars"), number)
        last |= dict.fromkeys(_without_literals(self._jaxpr.outvars), len(cuts))
        self.pieces = [self._piece(number, cut, last) for number, cut in enumerate(cuts)]

    def _results_of_others(self) -> list[int]:
        """Places of results that must not be given up with the next call's values as they are.

        Constants, arguments that were not given up, and what is a result at another place as well.
        """
        kept = {*self._jaxpr.constvars, *self._jaxpr.invars} - self._given_up
        places = []
        for place, variable in enumerate(self._jaxpr.outvars):
            if is_literal(variable) or variable in kept:
                places.append(place)
            else:
                kept.add(variable)
        return places

    def _cut(self) -> list[list[Any]]:
        """The equations of each piece, in their order."""
        equations = self._jaxpr.eqns
        # a vector that is given is divided first, or a piece would end there
        given = set(self._jaxpr.invars)
        first = [e for e in equations if _is_division(e) and e.invars[0] in given]
        are_first = {id(equation) for equation in first}
        cuts: list[list[Any]] = [[equation] for equation in first]
        between: list[Any] = []
        for equation in equations:
            if id(equation) in are_first:
                continue
            if _name(equation) == _BLOCK or _is_division(equation):
                cuts += [between, [equation]]
                between = []
            else:
                between.append(equation)
        return [cut for cut in [*cuts, between] if cut]

    def _piece(self, number: int, equations: list[Any], last: Mapping[Any, int]) -> _Piece:
        """One piece; its program is one that is known, where that does the same.

        Args:
            number: of the piece.
            equations: its own.
            last: the number of the piece that reads a variable last.
        """
        defined = _variables(equations, "outvars")
        inside = set(defined)
        takes = [v for v in _variables(equations, "invars") if v not in inside]
        ends = [v for v in takes if last[v] == number]
        if len(equations) == 1 and _is_division(equations[0]):
            return _Piece(_OnHost([v.aval.shape for v in defined]), takes, defined, ends)
        gives = [v for v in defined if last.get(v, 0) > number]
        donated = tuple(takes.index(v) for v in ends if v in self._given_up)
        key = self._keys.of(equations, takes, gives), donated
        if key not in self.programs:
            jaxpr = self._jaxpr.replace(
                constvars=[], invars=takes, outvars=gives, eqns=list(equations)
            )
            self.programs[key] = _Compiled(jaxpr, donated, self._options)
        return _Piece(self.programs[key], takes, gives, ends)

    def compile(self) -> None:
        """Compile the programs, on all cores."""
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(_Compiled.compile, self.programs.values()))

    def __call__(self, *args: Any) -> Any:
        """Run the pieces one after the other; takes and gives what the function does."""
        import jax

        found = dict(zip(self._jaxpr.constvars, self._constants, strict=True))
        found |= zip(self._jaxpr.invars, jax.tree.leaves(args), strict=True)
        for piece in self.pieces:
            given = piece.program([found[v] for v in piece.takes])
            found |= zip(piece.gives, given, strict=True)
            for variable in piece.ends:
                del found[variable]
        results = [v.val if is_literal(v) else found[v] for v in self._jaxpr.outvars]
        for place in self._shared:
            results[place] = jax.numpy.array(results[place], copy=True)
        return jax.tree.unflatten(self._tree, results)


class _Compiled:
    """Equations as a compiled program.

    Args:
        jaxpr: without constants.
        donated: places of the arguments whose memory may be that of results.
        options: what XLA is told.
    """

    def __init__(
        self, jaxpr: Any, donated: tuple[int, ...], options: dict[str, Any] | None
    ) -> None:
        self.jaxpr = jaxpr
        self._donated, self._options = donated, options
        self._program: Any = None

    def compile(self) -> None:
        """Do it; a call needs it."""
        import jax
        from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

        function = jaxpr_as_fun(ClosedJaxpr(self.jaxpr, []))
        jitted = jax.jit(function, donate_argnums=self._donated, compiler_options=self._options)
        shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in self.jaxpr.invars]
        self._program = jitted.lower(*shapes).compile()

    def __call__(self, given: Sequence[Any]) -> Sequence[Any]:
        """The results of arguments like those it was made for."""
        return self._program(*given)


class _OnHost:
    """The parts of a vector, cut by NumPy: XLA takes 20 ms to compile each, to save 25 us a call.

    Args:
        shapes: of the parts, and () of what `split_vector` keeps of its choice for the way back.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self._are_parts = [bool(shape) for shape in shapes]
        *self._ends, self._size = itertools.accumulate(shape[0] for shape in shapes if shape)

    def __call__(self, given: Sequence[Any]) -> Sequence[Any]:
        """Copies, as the vector's memory may be given up while they are in use."""
        import jax

        vector = np.asarray(given[0])
        assert vector.shape == (self._size,), "a part is missing"
        parts = iter(np.split(vector, self._ends))
        chosen = np.int32(0)
        return jax.device_put([next(parts).copy() if one else chosen for one in self._are_parts])


def _name(equation: Any) -> str:
    return str(equation.params.get("name", ""))


def _is_division(equation: Any) -> bool:
    """Whether it gives the parts of a vector; its gradient, which joins them, has its name."""
    if _name(equation) != _PARTS or len(equation.invars) > 1:
        return False
    return not is_literal(equation.invars[0])


def _without_literals(variables: Sequence[Any]) -> list[Any]:
    return [variable for variable in variables if not is_literal(variable)]


def _variables(equations: Sequence[Any], which: str) -> list[Any]:
    """The ``invars`` or ``outvars`` of equations, each once."""
    found = (_without_literals(getattr(equation, which)) for equation in equations)
    return list(dict.fromkeys(itertools.chain.from_iterable(found)))
