"""Whether arrays fit the names and shapes that are expected of them, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: how many names an error lists
LISTED = 4

Shape = tuple[int, ...]


def listed(names: Sequence[str]) -> str:
    """The first names and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"


def misfits(
    found: Mapping[str, Sequence[int]], expected: Mapping[str, Sequence[int]], noun: str = ""
) -> list[str]:
    """What is missing, unexpected or of another shape; empty where all fits.

    Args:
        found: shapes by name.
        expected: shapes by name.
        noun: what is counted, as in "2 tensors missing"; none for "2 missing".
    """
    shapes: list[tuple[str, Shape, Shape]] = [
        (name, tuple(found[name]), tuple(shape))
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    kinds = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": [
            f"{name} {list(shape)}, expected {list(wanted)}" for name, shape, wanted in shapes
        ],
    }
    return [
        f"{_count(len(names), noun)} {kind} ({listed(names)})"
        for kind, names in kinds.items()
        if names
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number > 1)}" if noun else str(number)
