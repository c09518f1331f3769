"""What is known of a tensor before there is one."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """A tensor's name, shape (None: any size) and dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
