"""A picture of a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture, or several with a label each.

    Args:
        name: of its file in ``plots/``, without the suffix.
        title: its heading.
        caption: what is to be seen.
        parts: label and PNG of each part.
        columns: parts side by side; they are shown pixel by pixel, as images of a model.
    """

    name: str
    title: str
    caption: str
    parts: Sequence[tuple[str, bytes]]
    columns: int = 0

    @property
    def files(self) -> dict[str, bytes]:
        """The files of it: ``name.png``, or one for each label."""
        if len(self.parts) == 1:
            return {f"{self.name}.png": self.parts[0][1]}
        return {f"{self.name}-{i:02d}.png": png for i, (_, png) in enumerate(self.parts)}
