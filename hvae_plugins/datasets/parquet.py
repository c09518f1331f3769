"""Any images in parquet files as the Hugging Face Hub lays them out."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pydantic

from hvae_core.data import parquet
from hvae_core.data.arrays import ArraySource
from hvae_core.data.decode import DECODING_ERRORS, Unreadable, cannot_decode, decode_chunks
from hvae_core.data.decoded import decoded_images
from hvae_core.data.decoding_options import DecodingOptions
from hvae_core.data.files import FileDataset, data_folder, horizontal_flip
from hvae_core.data.image_decoding import Refused
from hvae_core.data.split_options import SplitOptions, Splits
from hvae_core.errors import DataError
from hvae_core.interfaces import ConditionColumn, DatasetInfo, Invariance, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec

#: files that are named in a note
_SHOWN = 3


class ParquetConfig(DecodingOptions, SplitOptions):
    """Options of images in parquet files."""

    root: str = pydantic.Field(description="a folder with train-*.parquet and so on, or one file")
    column: str | None = pydantic.Field(
        None, description="column with the encoded images; if unset, image or img"
    )
    flip: bool = pydantic.Field(
        False, description="mirror training images left to right, each with probability 1/2"
    )


class Parquet(FileDataset):
    """Images in parquet files; the splits are read from the files' names.

    Where no file is of test images, some are chosen from the training images, see
    `hvae_core.data.split_options`.
    """

    def __init__(self, options: ParquetConfig) -> None:
        self.options = options
        self.values = options.values.image_values()
        self.invariance = Invariance(mirrored=options.flip)
        self._splits = Splits(options, lambda: self.files, self._decoded)

    @functools.cached_property
    def files(self) -> dict[str, list[Path]]:
        """The files of each split."""
        folder = data_folder(self.options.root, "parquet")
        found = parquet.find_splits(folder)
        if not found:
            raise DataError(
                f"{folder} has no parquet file whose name begins with train, test or validation.",
                "Name them like train-00000-of-00001.parquet.",
            )
        return found

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]
        """The splits that have files, and ``test`` where it is held out."""
        return self._splits.names

    @functools.cached_property
    def info(self) -> DatasetInfo:  # type: ignore[override]
        """What the files tell of themselves."""
        return DatasetInfo(
            title=f"Parquet files in {self.options.root}",
            origin=self.options.root,
            version="as found",
            licence="unknown",
            # How many of the training images are held out is known when they are decoded.
            sizes={
                split: parquet.count_rows(files)
                for split, files in self.files.items()
                if not self._splits.is_part(split)
            },
        )

    @functools.cached_property
    def shape(self) -> Shape3:
        """Shape [H, W, C]: of ``size``, else of the first image."""
        decoding = self.options.decoding
        if decoding.size is not None:
            return (*decoding.size, decoding.channels)
        files = next(iter(self.files.values()))
        for where, data in parquet.encoded_images(files, self.options.column):
            try:
                height, width, channels = decoding(data).shape
            except DECODING_ERRORS as error:
                if self.options.skip_unreadable and not isinstance(error, Refused):
                    continue
                raise cannot_decode(where, error) from error
            return (height, width, channels)
        raise DataError(f"{files[0]} has no rows with a readable image.")

    def prepare(self) -> None:
        """Decode all splits into the cache."""
        for split in self.splits:
            self.load(split)

    def load(self, split: str) -> ArraySource:
        """See `Dataset.load`."""
        self.check_split(split)
        return self._splits.source(split)

    def _decoded(self, split: str) -> np.ndarray:
        """All images of a split's files."""
        options, files, shape = self.options, self.files[split], self.shape
        left_out = Unreadable()
        skipping = left_out if options.skip_unreadable else None
        images = decoded_images(
            files,
            [
                *("parquet", options.column, options.skip_unreadable),
                dataclasses.asdict(options.decoding),
            ],
            shape,
            lambda: decode_chunks(
                parquet.encoded_images(files, options.column), options.decoding, shape, skipping
            ),
            self.values.dtype,
            skipping,
        )
        if not len(images):
            raise DataError(f"None of the {split} images in {options.root} is readable.")
        self._splits.left_out[split] = left_out
        return images

    def keys(self, split: str) -> list[str] | None:
        """See `Dataset.keys`: the digests of the images' values."""
        return self._splits.keys(split)

    def notes(self) -> tuple[str, ...]:
        """See `Dataset.notes`."""
        folder = data_folder(self.options.root, "parquet")
        used = {path for files in self.files.values() for path in files}
        others = [] if folder.is_file() else sorted({*parquet.list_files(folder)} - used)
        found = [
            f"{len(files)} file{'s' if len(files) > 1 else ''} of {split}: {_listed(files)}."
            for split, files in self.files.items()
        ]
        if others:
            found.append(f"Files whose names say no split are left out: {_listed(others)}.")
        found += self._splits.note("file")
        return (*found, *self._splits.left_out_notes())

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """See `Dataset.condition`: a column of classes, or columns of numbers."""
        self.check_split(split)
        stored = self._splits.stored_in(split)
        return self._splits.column(parquet.condition_column(self.files, stored, name), split)

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Flip at random in training, if asked."""
        return horizontal_flip(images, rng) if training and self.options.flip else images


def _listed(files: list[Path]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return ", ".join(path.name for path in files[:_SHOWN]) + more


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="parquet",
        summary="images in parquet files in the Hugging Face Hub's layout",
        builder=Parquet,
        config=ParquetConfig,
        image_values=lambda options: options.values.image_values(),
    )
