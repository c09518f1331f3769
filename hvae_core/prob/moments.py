"""Mean and spread of what comes one batch after the other."""

from __future__ import annotations

from typing import Any

import numpy as np


class RunningMoments:
    """Count, mean and sum of squared deviations over rows, in float64.

    The merging of two sets' moments (Chan et al. 1979) is stable where a sum of squares cancels.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.squares: Any = 0.0

    def add(self, rows: np.ndarray) -> None:
        """Add rows [b, ...], at least one."""
        rows = rows.astype(np.float64)
        mean, count = rows.mean(axis=0), len(rows)
        squares = np.square(rows - mean).sum(axis=0)
        total = self.count + count
        difference = mean - self.mean
        self.squares = self.squares + squares + np.square(difference) * self.count * count / total
        self.mean = self.mean + difference * count / total
        self.count = total

    def variance(self) -> Any:
        """The variance of the rows themselves: squared deviations by their count."""
        return self.squares / max(self.count, 1)

    def std(self) -> Any:
        """The standard deviation of what they are drawn from, by count - 1; 0 of a single row."""
        return np.sqrt(self.squares / max(self.count - 1, 1))

    def standard_error(self) -> Any:
        """Of the mean."""
        return self.std() / np.sqrt(max(self.count, 1))
