"""A folder of one's own images."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic

from hvae_core.data import image_files
from hvae_core.data.arrays import ArraySource
from hvae_core.data.batches import split_validation
from hvae_core.data.decode import Crop, decode_chunks, decode_image
from hvae_core.data.decoded import decoded_images
from hvae_core.data.files import DatasetOptions, FileDataset, data_folder, horizontal_flip
from hvae_core.errors import DataError
from hvae_core.interfaces import DatasetInfo, Invariance, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec


class ImageFolderConfig(DatasetOptions):
    """Options of a folder of images."""

    root: str = pydantic.Field(
        description="the folder; PNG, JPEG, WebP and BMP files at any depth are read"
    )
    size: int = pydantic.Field(64, ge=1, description="side in pixels to resize to")
    crop: Crop = pydantic.Field(
        "center", description="center: cut out the central square before resizing; none: stretch"
    )
    channels: Literal[1, 3] = pydantic.Field(3, description="1: grey; 3: RGB")
    flip: bool = pydantic.Field(
        False, description="mirror training images left to right, each with probability 1/2"
    )
    test_fraction: float = pydantic.Field(
        0.1, gt=0, lt=1, description="part held out as test images where there is no folder test"
    )
    split_seed: int = pydantic.Field(0, ge=0, description="of the choice of test images")
    skip_unreadable: bool = pydantic.Field(
        False, description="leave damaged images out instead of stopping"
    )


class ImageFolder(FileDataset):
    """Images in a folder.

    With subfolders ``train`` and ``test`` (and perhaps ``validation``) these are the splits.
    Otherwise the test images are chosen by ``split_seed`` from all, or from ``train`` if that is
    there; the choice depends on the sorted file names alone.
    """

    def __init__(self, options: ImageFolderConfig) -> None:
        self.options = options
        self.invariance = Invariance(mirrored=options.flip)

    @property
    def shape(self) -> Shape3:
        """Shape [H, W, C] of an image."""
        return (self.options.size, self.options.size, self.options.channels)

    @functools.cached_property
    def files(self) -> dict[str, list[Path]]:
        """The files of each split."""
        root = data_folder(self.options.root, "image-folder")
        if not root.is_dir():
            raise DataError(f"data.root {root} is no folder.", "Give the folder with the images.")
        folders = image_files.split_folders(root)
        if "train" not in folders:
            folders = {"train": root}
        found = {split: image_files.list_images(folder) for split, folder in folders.items()}
        for split, files in found.items():
            if not files:
                raise DataError(
                    f"{folders[split]} has no images.",
                    f"Images end in {', '.join(sorted(image_files.SUFFIXES))}.",
                )
        if "test" not in found:
            files = found["train"]
            train, test = split_validation(
                len(files), self.options.test_fraction, self.options.split_seed
            )
            found["train"] = [files[index] for index in train]
            found["test"] = [files[index] for index in test]
        return found

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]
        """The splits, found or made."""
        return tuple(self.files)

    @functools.cached_property
    def info(self) -> DatasetInfo:  # type: ignore[override]
        """What the folder tells of itself."""
        return DatasetInfo(
            title=f"Images in {self.options.root}",
            origin=self.options.root,
            version="as found",
            licence="unknown",
            sizes={split: len(files) for split, files in self.files.items()},
        )

    def prepare(self) -> None:
        """Decode all splits into the cache."""
        for split in self.splits:
            self.load(split)

    def load(self, split: str) -> ArraySource:
        """See `Dataset.load`."""
        self.check_split(split)
        options, files = self.options, self.files[split]
        images = decoded_images(
            files,
            ["image-folder", options.crop, options.skip_unreadable],
            self.shape,
            lambda: decode_chunks(
                image_files.named(files),
                lambda data: decode_image(data, options.channels, options.size, options.crop),
                self.shape,
                options.skip_unreadable,
            ),
        )
        if not len(images):
            raise DataError(f"None of the {split} images in {options.root} is readable.")
        return ArraySource(images)

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Flip at random in training, if asked."""
        return horizontal_flip(images, rng) if training and self.options.flip else images


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="image-folder",
        summary="a folder of one's own images, cropped and resized",
        builder=ImageFolder,
        config=ImageFolderConfig,
    )
