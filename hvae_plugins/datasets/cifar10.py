"""CIFAR-10: 60,000 photographs of 32x32 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydantic

from hvae_core.data import cifar_binary, parquet
from hvae_core.data.arrays import ArraySource
from hvae_core.data.decode import decode_chunks, decode_image
from hvae_core.data.decoded import decoded_images
from hvae_core.data.files import DownloadOptions, FileDataset, data_folder, horizontal_flip
from hvae_core.errors import DataError
from hvae_core.interfaces import ConditionColumn, DatasetInfo, Invariance, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_URL = "https://www.cs.toronto.edu/~kriz"


class Cifar10Config(DownloadOptions):
    """Options of CIFAR-10."""

    flip: bool = pydantic.Field(
        True, description="mirror training images left to right, each with probability 1/2"
    )


class Cifar10(FileDataset):
    """CIFAR-10 from parquet files in the Hub's layout, or from the canonical binary archive."""

    info = DatasetInfo(
        title="CIFAR-10",
        origin="https://www.cs.toronto.edu/~kriz/cifar.html",
        version=f"binary version, md5 {cifar_binary.MD5}, or the same images as parquet",
        licence="not stated; the authors ask that their report be cited",
        citation="Krizhevsky, A. (2009). Learning Multiple Layers of Features from Tiny Images.",
        sizes={"train": 50_000, "test": 10_000},
        download_bytes=cifar_binary.SIZE,
    )
    splits = ("train", "test")
    shape: Shape3 = (32, 32, 3)

    def __init__(self, options: Cifar10Config) -> None:
        self.options = options
        self.invariance = Invariance(mirrored=options.flip)

    def prepare(self) -> None:
        """Download the archive, unless the files are here or ``data.root`` is given."""
        self._find()

    def load(self, split: str) -> ArraySource:
        """See `Dataset.load`."""
        self.check_split(split)
        place = self._find()
        if isinstance(place, Path):
            archive = place
            files = cifar_binary.source_files(archive, split)
            return ArraySource(
                decoded_images(
                    files,
                    ["cifar-binary", split],
                    self.shape,
                    lambda: cifar_binary.read_images(archive, split),
                )
            )
        files = place.get(split, [])
        if not files:
            raise DataError(
                f"{data_folder(self.options.root, 'cifar10')} has no {split}-*.parquet.",
                "Put the files of both splits there.",
            )
        return ArraySource(
            decoded_images(
                files,
                ["cifar-parquet"],
                self.shape,
                lambda: decode_chunks(
                    parquet.encoded_images(files), lambda data: decode_image(data, 3), self.shape
                ),
            )
        )

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """See `Dataset.condition`: ``label``."""
        self.check_split(split)
        place = self._find()
        if isinstance(place, Path):
            if name != "label":
                return super().condition(name, split)
            return ConditionColumn(cifar_binary.read_labels(place, split), CLASSES)
        column = parquet.condition_column(place, split, name)
        return column._replace(names=column.names or CLASSES) if name == "label" else column

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Flip at random in training, if asked."""
        return horizontal_flip(images, rng) if training and self.options.flip else images

    def _find(self) -> Path | dict[str, list[Path]]:
        """The archive or its folder, or the parquet files of each split."""
        folder = data_folder(self.options.root, "cifar10")
        splits = parquet.find_splits(folder) if folder.exists() else {}
        if splits:
            return splits
        place = cifar_binary.find(folder)
        if place is not None:
            return place
        if self.options.root is not None:
            raise DataError(
                f"{folder} holds no CIFAR-10: neither train-*.parquet and test-*.parquet nor "
                f"{cifar_binary.ARCHIVE} nor data_batch_1.bin.",
                "Leave data.root unset to download it.",
            )
        from hvae_core.fetching.download import fetch

        return fetch(
            f"{(self.options.url or _URL).rstrip('/')}/{cifar_binary.ARCHIVE}",
            folder / cifar_binary.ARCHIVE,
            md5=cifar_binary.MD5,
            size=cifar_binary.SIZE,
            progress=self.progress,
        )


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="cifar10",
        summary="CIFAR-10, 32x32 photographs",
        builder=Cifar10,
        config=Cifar10Config,
        references=("Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",),
    )
