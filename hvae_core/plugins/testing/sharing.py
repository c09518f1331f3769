"""What is slow to make, made once for all tests of a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hvae_core.plugins.testing.component import ComponentContract

T = TypeVar("T")

#: by class of contract: the component, and what was made for its options and a case
_made: dict[type, dict[tuple[int, str, str], tuple[Any, Any]]] = {}


class SharingContract(ComponentContract):
    """A contract whose tests share what is built and compiled. No test may leave it changed."""

    def shared(self, config: dict[str, Any], case: Any, make: Callable[[], T]) -> T:
        """What ``make`` gave the first time for ``config`` and ``case`` in this class."""
        component, mine = self.component, _made.setdefault(type(self), {})
        key = id(component), repr(config), repr(case)
        if key not in mine:
            mine[key] = component, make()
        return mine[key][1]

    @classmethod
    def teardown_class(cls) -> None:
        """Let it all go; called by pytest."""
        _made.pop(cls, None)
