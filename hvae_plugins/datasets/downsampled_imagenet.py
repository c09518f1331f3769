"""What ImageNet-32 and ImageNet-64 share: two versions, and files that need a login to get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic

from hvae_core.data import image_files
from hvae_core.data.arrays import ArraySource, open_npy, read_npz
from hvae_core.data.decode import decode_chunks, decode_image
from hvae_core.data.decoded import decoded_images
from hvae_core.data.files import FileDataset, RootOptions, data_folder, horizontal_flip
from hvae_core.errors import DataError
from hvae_core.interfaces import DatasetInfo, Invariance, Shape3

_TRAIN_FILES = 10
_CHUNK = 4096
_NAMES = {
    "train": {"npz": "train_data_batch_*.npz", "npy": "train", "folder": "train"},
    "test": {"npz": "val_data.npz", "npy": "valid", "folder": "valid"},
}

REFERENCES = (
    "Chrabaszcz, Loshchilov and Hutter 2017, A Downsampled Variant of ImageNet, arXiv 1707.08819",
    "van den Oord, Kalchbrenner and Kavukcuoglu 2016, Pixel Recurrent Neural Networks, "
    "arXiv 1601.06759",
)


class DownsampledImageNetConfig(RootOptions):
    """Options of ImageNet-32 and ImageNet-64."""

    version: Literal["box-2017", "oord-2016"] = pydantic.Field(
        "box-2017",
        description="box-2017: box-resized (Chrabaszcz et al. 2017), the files of ImageNet's site "
        "and of VDVAE; oord-2016: van den Oord et al. 2016. Their bits/dim are not comparable",
    )
    flip: bool = pydantic.Field(
        False, description="mirror training images left to right, each with probability 1/2"
    )


class DownsampledImageNet(FileDataset):
    """ImageNet at 32x32 or 64x64. The published validation images are the split ``test`` here.

    Args:
        options: the options.
        side: 32 or 64.
    """

    splits = ("train", "test")

    def __init__(self, options: DownsampledImageNetConfig, side: int) -> None:
        self.options, self.side = options, side
        self.invariance = Invariance(mirrored=options.flip)
        self.name = f"imagenet{side}"
        box = options.version == "box-2017"
        self.info = DatasetInfo(
            title=f"ImageNet {side}x{side}",
            origin="https://image-net.org/download-images (login)",
            version=f"{options.version}: "
            + ("box-resized, Chrabaszcz et al. 2017" if box else "van den Oord et al. 2016"),
            licence="ImageNet's terms: non-commercial research and education",
            citation=REFERENCES[0 if box else 1],
            sizes={"train": 1_281_167, "test": 50_000}
            if box
            else {"train": 1_281_149, "test": 49_999},
        )

    @property
    def shape(self) -> Shape3:
        """Shape [H, W, 3] of an image."""
        return (self.side, self.side, 3)

    def prepare(self) -> None:
        """Check that the files are here; they cannot be downloaded without a login."""
        for split in self.splits:
            self._find(split)

    def load(self, split: str) -> ArraySource:
        """See `Dataset.load`."""
        self.check_split(split)
        files = self._find(split)
        if files[0].suffix == ".npy":
            return ArraySource(open_npy(files[0], self.shape))
        if files[0].suffix == ".npz":
            return ArraySource(
                decoded_images(files, [self.name, "npz"], self.shape, lambda: self._chunks(files))
            )
        return ArraySource(
            decoded_images(
                files,
                [self.name, "files"],
                self.shape,
                lambda: decode_chunks(
                    image_files.named(files), lambda data: decode_image(data, 3), self.shape
                ),
            )
        )

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Flip at random in training, if asked."""
        return horizontal_flip(images, rng) if training and self.options.flip else images

    def _chunks(self, files: list[Path]) -> Iterator[np.ndarray]:
        for file in files:
            images = read_npz(file, self.shape)
            for start in range(0, len(images), _CHUNK):
                yield images[start : start + _CHUNK]

    def _find(self, split: str) -> list[Path]:
        folder = data_folder(self.options.root, self.name)
        names = _NAMES[split]
        if self.options.version == "oord-2016":
            images = folder / f"{names['folder']}_{self.side}x{self.side}"
            files = image_files.list_images(images) if images.is_dir() else []
            return files or self._missing(folder, f"{images.name}/*.png")
        array = folder / f"{self.name}-{names['npy']}.npy"
        if array.is_file():
            return [array]
        files = sorted(folder.rglob(names["npz"]), key=_number) if folder.is_dir() else []
        if not files:
            return self._missing(folder, f"{names['npz']} or {array.name}")
        if split == "train":
            found = {_number(file) for file in files}
            for number in range(1, _TRAIN_FILES + 1):
                if number not in found:
                    raise DataError(
                        f"{files[0].parent / f'train_data_batch_{number}.npz'} is missing, one of "
                        f"{_TRAIN_FILES} files.",
                        "Unpack the archives again.",
                    )
        return files

    def _missing(self, folder: Path, wanted: str) -> list[Path]:
        if self.options.version == "oord-2016":
            source = (
                f"train_{self.side}x{self.side} and valid_{self.side}x{self.side} (PNG folders of "
                "van den Oord et al. 2016)"
            )
        elif self.side == 32:
            source = "Imagenet32_train_npz.zip and Imagenet32_val_npz.zip"
        else:
            source = (
                "Imagenet64_train_part1_npz.zip, Imagenet64_train_part2_npz.zip and "
                "Imagenet64_val_npz.zip"
            )
        raise DataError(
            f"{self.name}: {wanted} is not in {folder}.",
            f"Log in at https://image-net.org/download-images, get {source}, and unpack them into "
            f"{folder}, or name their folder with data.root.",
        )


def _number(path: Path) -> int:
    match = re.search(r"(\d+)$", path.stem)
    return int(match[1]) if match else 0
