"""How data sets of a user's own images choose those that are held out."""

from __future__ import annotations

from typing import Literal

import pydantic

from hvae_core.data.files import DatasetOptions


class SplitOptions(DatasetOptions):
    """The choice of held-out images where each is known by its values."""

    split_by: Literal["content", "position"] = pydantic.Field(
        "content",
        description="what decides whether an image is held out, for testing or validation. "
        "content: its own values, so that images that come or go move no other, and equal images "
        "stay together; position: its number among all, as in configurations of format 1",
    )
