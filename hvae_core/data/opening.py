"""From a configuration's ``data`` to the data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvae_core.data.files import FileDataset
from hvae_core.interfaces import Dataset

if TYPE_CHECKING:
    from hvae_core.config.component import Component
    from hvae_core.fetching.download import Progress


def open_dataset(component: Component, progress: Progress | None = None) -> Dataset:
    """Build the data set that ``component`` (such as ``config.data``) names.

    No file is read yet: `Dataset.load` does that, and downloads what is missing where the data
    set has a public source and no ``data.root`` was given.

    Args:
        component: the data set's name and validated options.
        progress: called with the bytes done and the total (or None) during downloads.
    """
    dataset: Dataset = component.build()
    if component.condition is not None:
        dataset.conditioned_on = component.condition
    if isinstance(dataset, FileDataset):
        dataset.progress = progress
    return dataset
