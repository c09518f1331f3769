"""What a model is given of a batch: images, and perhaps a condition and what the encoder sees."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from hvae_core.interfaces.outputs import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Images with what else is known of each: arrays, or tensors in a graph.

    Args:
        images: [B, H, W, C] native values, which the likelihood scores.
        inputs: float32 [B, H, W, C'], which the encoder sees: native values in the first C
            channels, what else it is given in the others; None: the images.
        condition: [B, ...] as `ConditionValues.encode` gives it; None: the model has none.
    """

    images: Tensor
    inputs: Tensor | None = None
    condition: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, given: Batch | np.ndarray) -> Batch:
        """``given``, images alone as a batch of nothing else."""
        return given if isinstance(given, Batch) else cls(given)

    def named(self) -> dict[str, Any]:
        """What there is, by name: no key stands for what there is not, so no graph has it."""
        fields = {"images": self.images, "inputs": self.inputs, "condition": self.condition}
        return {name: value for name, value in fields.items() if value is not None}

    def __getitem__(self, rows: Any) -> Batch:
        """The batch of these rows."""
        return Batch(**{name: value[rows] for name, value in self.named().items()})
