"""What a data set says of itself: where it comes from, and which changes its images allow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """Where a data set comes from."""

    title: str
    origin: str
    version: str
    licence: str
    citation: str = ""
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    download_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Invariance:
    """Which changes leave an image of a data set one that could belong to it.

    Args:
        range: how far it may be turned, moved and scaled: ``"small"`` or ``"large"``.
        mirrored: whether left and right may be exchanged.
        background: value of the pixels around what is shown, or None where images fill their
            frame and something has to be made up when they are moved.
    """

    range: Literal["small", "large"] = "small"
    mirrored: bool = False
    background: int | None = None
