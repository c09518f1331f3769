"""Whether pieces of a traced JAX program do the same, by a key that only equal ones share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def is_literal(variable: Any) -> bool:
    """Whether an argument of an equation is a number written into it."""
    from jax.extend.core import Literal

    return isinstance(variable, Literal)


class Keys:
    """Keys of equations of one program, which must stay alive with them."""

    def __init__(self) -> None:
        self._parameters: dict[int, Any] = {}

    def of(self, equations: Sequence[Any], takes: Sequence[Any], gives: Sequence[Any]) -> Any:
        """The key, hashable.

        Args:
            equations: of a jaxpr.
            takes: their arguments, in order.
            gives: their results, in order.
        """
        numbers: dict[Any, int] = {}

        def of_variables(variables: Sequence[Any]) -> Any:
            return tuple(
                (variable.aval, self._of_parameter(np.asarray(variable.val)))
                if is_literal(variable)
                else (variable.aval, numbers.setdefault(variable, len(numbers)))
                for variable in variables
            )

        body = tuple(
            (e.primitive, of_variables(e.invars), of_variables(e.outvars), self._of_parameters(e))
            for e in equations
        )
        return of_variables(takes), body, of_variables(gives)

    def _of_parameters(self, equation: Any) -> Any:
        """Of what the equation's primitive is told, once for each equation."""
        key = id(equation)
        if key not in self._parameters:
            self._parameters[key] = self._of_parameter(equation.params)
        return self._parameters[key]

    def _of_parameter(self, parameter: Any) -> Any:
        from jax.extend.core import ClosedJaxpr, Jaxpr

        if isinstance(parameter, ClosedJaxpr):
            return self._of_parameter(parameter.jaxpr), self._of_parameter(parameter.consts)
        if isinstance(parameter, Jaxpr):
            given = [*parameter.constvars, *parameter.invars]
            return self.of(parameter.eqns, given, parameter.outvars)
        if isinstance(parameter, Mapping):
            return tuple((name, self._of_parameter(value)) for name, value in parameter.items())
        if isinstance(parameter, (list, tuple)):
            return type(parameter), tuple(self._of_parameter(value) for value in parameter)
        if hasattr(parameter, "__array__"):
            array = np.asarray(parameter)
            return array.shape, str(array.dtype), array.tobytes()
        # 1, 1.0 and True are equal, as 0.0 and -0.0 are; what cannot be compared is only itself.
        if isinstance(parameter, float):
            return float, repr(parameter)
        return type(parameter), parameter if parameter.__hash__ else id(parameter)
