"""Any data set of images of the Hugging Face Hub, read by the library `datasets`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from hvae_core.data.arrays import ArraySource
from hvae_core.data.condition_cells import column_of_split
from hvae_core.data.decode import DECODING_ERRORS, Unreadable, cannot_decode, decode_chunks
from hvae_core.data.decoded import decoded_images, stat_key
from hvae_core.data.decoding_options import DecodingOptions
from hvae_core.data.hub_rows import columns_of, content, image_column, undecoded
from hvae_core.data.image_decoding import Refused
from hvae_core.data.own_images import NativeOptions, OwnImages
from hvae_core.data.split_options import SplitOptions, Splits
from hvae_core.errors import DataError, MissingDependencyError
from hvae_core.files.places import offline
from hvae_core.interfaces import ConditionColumn, DatasetInfo, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class HubConfig(NativeOptions, DecodingOptions, SplitOptions):
    """Options of a data set of the Hugging Face Hub."""

    repository: str = pydantic.Field(
        description="owner/name on the Hub, or a folder that is laid out like such a repository"
    )
    config: str | None = pydantic.Field(
        None, description="the configuration (subset), where the repository has several"
    )
    revision: str | None = pydantic.Field(
        None, description="branch, tag or commit; the newest commit if unset"
    )
    splits: dict[str, str] = pydantic.Field(
        {},
        description="split names here and what they are there, as in {train: 'train[:90%]', "
        "test: 'train[90%:]'}; if empty, those of the repository",
    )
    column: str | None = pydantic.Field(
        None, description="column with the images; if unset image or img, else the only one"
    )
    streaming: bool = pydantic.Field(
        False, description="decode the images as they arrive, without keeping the files"
    )


class Hub(OwnImages):
    """A data set of the Hugging Face Hub.

    Its files go where the library keeps them (``HF_HOME``), the decoded images into hvae's cache
    folder. No code of a repository is run. With ``HVAE_OFFLINE=1`` only what is here is used.
    Where there is no test split, test images are chosen from the training images, see
    `hvae_core.data.split_options`.
    """

    def __init__(self, options: HubConfig) -> None:
        super().__init__(options)
        self.options = options
        self._splits = Splits(options, lambda: options.splits or self._published, self._decoded)

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]
        """The splits asked for, else those of the repository, and ``test`` if it is held out."""
        return self._splits.names

    @functools.cached_property
    def info(self) -> DatasetInfo:  # type: ignore[override]
        """What the repository tells of itself."""
        told, options = self._builder.info, self.options
        counts = {name: split.num_examples for name, split in (told.splits or {}).items()}
        names = options.splits or {name: name for name in self._published}
        return DatasetInfo(
            title=f"{options.repository}{f', {options.config}' if options.config else ''}",
            origin=told.homepage or options.repository,
            version=options.revision or f"as found, {self._builder.hash}",
            licence=told.license or "see the repository",
            citation=told.citation or "",
            # How many of the training images are held out is known when they are decoded.
            sizes={
                ours: counts[name]
                for ours, name in names.items()
                if counts.get(name) and not self._splits.is_part(ours)
            },
        )

    @functools.cached_property
    def shape(self) -> Shape3:
        """Shape [H, W, C]: of ``size``, else of the first image."""
        decoding = self.options.decoding
        if decoding.size is not None:
            return (*decoding.size, decoding.channels)
        for where, data in self._encoded(self.splits[0]):
            try:
                height, width, channels = decoding(data).shape
            except DECODING_ERRORS as error:
                if self.options.skip_unreadable and not isinstance(error, Refused):
                    continue
                raise cannot_decode(where, error) from error
            return (height, width, channels)
        raise DataError(f"No {self.splits[0]} image of {self.options.repository} is readable.")

    def prepare(self) -> None:
        """Download the files that are not here, and decode all splits into the cache."""
        for split in self.splits:
            self.load(split)

    def open_split(self, split: str) -> ArraySource:
        """See `OwnImages.open_split`."""
        return self._splits.source(split)

    def _decoded(self, split: str) -> np.ndarray:
        """All images of a split of the repository, or of those asked for."""
        options, shape = self.options, self.shape
        left_out = Unreadable() if options.skip_unreadable else None
        local = Path(options.repository)
        images = decoded_images(
            _files_of(self._builder) if local.is_dir() else [],
            [
                "hub",
                str(local.resolve()) if local.is_dir() else options.repository,
                *(options.config, options.revision, self._builder.hash, self._theirs(split)),
                *(options.column, options.skip_unreadable, dataclasses.asdict(options.decoding)),
            ],
            shape,
            lambda: decode_chunks(self._encoded(split), options.decoding, shape, left_out),
            self.values.dtype,
            left_out,
        )
        if not len(images):
            raise DataError(f"No {split} image of {options.repository} is readable.")
        if left_out is not None:
            self._splits.left_out[split] = left_out
        return images

    def keys(self, split: str) -> list[str] | None:
        """See `Dataset.keys`: the digests of the images' values."""
        return self._splits.keys(split)

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """See `Dataset.condition`: a column of classes, or columns of numbers."""
        wanted = [name] if isinstance(name, str) else list(name)
        stored = self._splits.stored_in(split)

        def read(one: str) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
            rows = self._rows(one)
            with _library(self.options.repository):
                return columns_of(rows, wanted, self._place(one))

        where = f"the {self._place(stored)}"
        column = column_of_split(stored, self._splits.own, name, read, where)
        return self._splits.column(column, split)

    def notes(self) -> tuple[str, ...]:
        """See `Dataset.notes`: the images that are held out, and those that were left out."""
        return (*self._splits.note("split"), *self._splits.left_out_notes())

    def _place(self, split: str) -> str:
        """What a split is called in messages."""
        return f"split {split!r} of {self.options.repository}"

    def _theirs(self, split: str) -> str:
        return self.options.splits.get(split, split)

    @property
    def _published(self) -> list[str]:
        """The splits of the repository."""
        files = getattr(self._builder.config, "data_files", None)
        return [str(name) for name in self._builder.info.splits or files or ()]

    @functools.cached_property
    def _builder(self) -> Any:
        """What the library knows of the repository."""
        options = self.options
        with _library(options.repository) as datasets:
            load = functools.partial(
                datasets.load_dataset_builder,
                options.repository,
                options.config,
                revision=options.revision,
            )
            builder = load()
            if not Path(options.repository).is_dir():
                return builder  # known by its commit
            # The library knows a folder whose README.md names its files by their names alone.
            # Without a place for each state of the files it would give the tables of another.
            state = f"local-{stat_key(_files_of(builder), ['hub'])}"
            return load(cache_dir=str(Path(datasets.config.HF_DATASETS_CACHE) / state))

    def _rows(self, split: str) -> Any:
        """A split as the library gives it: a table, or a stream of rows."""
        name = self._theirs(split)
        with _library(self.options.repository):
            if self.options.streaming:
                return self._builder.as_streaming_dataset(split=name)
            self._builder.download_and_prepare()
            return self._builder.as_dataset(split=name)

    def _encoded(self, split: str) -> Iterator[tuple[str, bytes | Path]]:
        """The encoded images of a split in order, and what they are called in messages."""
        place = self._place(split)
        rows = self._rows(split)
        with _library(self.options.repository) as datasets:
            rows = undecoded(rows)
            first = next(iter(rows), None)
            if first is None:
                raise DataError(f"The {place} has no images.")
            column = image_column(first, rows.features or {}, self.options.column, place)
            cells = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
            for number, row in enumerate(cells):
                where = f"Row {number} of {place}"
                yield where, content(row[column], where)


def _files_of(builder: Any) -> list[Path]:
    """The files of a folder that is laid out like a repository, of all its splits."""
    files = getattr(builder.config, "data_files", None) or {}
    return [Path(file) for split in files.values() for file in split]


@contextlib.contextmanager
def _library(repository: str) -> Iterator[Any]:
    """The library, offline where hvae is, and quiet where nobody watches.

    Raises:
        DataError: the repository cannot be read; the message says why.
        MissingDependencyError: the library is not installed.
    """
    try:
        import datasets
        import datasets.exceptions
        import huggingface_hub
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            "datasets", "hub-data", "The data set hub"
        ) from error
    places: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [place.HF_HUB_OFFLINE for place in places]
    silenced = not sys.stderr.isatty() and not datasets.are_progress_bars_disabled()
    if offline():
        for place in places:
            place.HF_HUB_OFFLINE = True
    if silenced:
        datasets.disable_progress_bars()
    try:
        yield datasets
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        if offline():
            hint = "HVAE_OFFLINE=1 forbids the network, and the files are not all here."
        else:
            hint = "Check the options and the network; a private repository needs: hf auth login"
        raise DataError(f"The data set {repository} cannot be read: {reason}.", hint) from error
    finally:
        for place, was in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = was
        if silenced:
            datasets.enable_progress_bars()


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="hub",
        summary="any images of the Hugging Face Hub, or of a folder laid out like it",
        builder=Hub,
        config=HubConfig,
        image_values=lambda options: options.values.image_values(),
        references=("Lhoest et al. 2021, Datasets, arXiv 2109.02846",),
    )
