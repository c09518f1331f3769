"""What data sets made of files have in common: options, folders, the check of a split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pydantic

from hvae_core.errors import DataError, did_you_mean
from hvae_core.files.paths import exists, expand_home
from hvae_core.files.places import cache_folder
from hvae_core.interfaces import Dataset

if TYPE_CHECKING:
    from hvae_core.fetching.download import Progress


class DatasetOptions(pydantic.BaseModel):
    """Base of data sets' options: unknown keys are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class RootOptions(DatasetOptions):
    """Options of a data set whose files may be on this machine already."""

    root: str | None = pydantic.Field(
        None, description="folder with the files; the cache folder if unset"
    )


class DownloadOptions(RootOptions):
    """Options of a data set that can be downloaded."""

    root: str | None = pydantic.Field(
        None, description="folder with the files; if unset they are downloaded to the cache folder"
    )
    url: str | None = pydantic.Field(
        None, description="a mirror: the folder URL that holds the files under their own names"
    )


class FileDataset(Dataset):
    """A data set that is read from files.

    Attributes:
        progress: called with the bytes done and the total (or None) during downloads.
    """

    progress: Progress | None = None

    def check_split(self, split: str) -> None:
        """Refuse a split that there is not.

        Raises:
            DataError: ``split`` is not one of ``splits``.
        """
        if split not in self.splits:
            raise DataError(f"There is no split {split!r}.", did_you_mean(split, self.splits))


def data_folder(root: str | None, name: str) -> Path:
    """Where a data set's files are: ``root``, else its own folder in the cache.

    Raises:
        DataError: ``root`` was given and does not exist.
    """
    if root is None:
        return cache_folder() / "data" / name
    path = expand_home(root, DataError, "data.root")
    if not exists(path):
        raise DataError(f"data.root {path} does not exist.", "Give the folder with the files.")
    return path


def horizontal_flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image mirrored left to right with probability 1/2: [B, H, W, C]."""
    chosen = rng.random(len(images)) < 0.5
    images = np.array(images)
    images[chosen] = images[chosen, :, ::-1]
    return images
