"""A folder of one's own images."""

from __future__ import annotations

import dataclasses
import functools
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic

from hvae_core.data import image_files
from hvae_core.data.arrays import ArraySource
from hvae_core.data.batches import split_validation
from hvae_core.data.decode import Unreadable, decode_chunks
from hvae_core.data.decoded import decoded_images
from hvae_core.data.decoding_options import DecodingOptions, Side
from hvae_core.data.file_search import find_files
from hvae_core.data.files import FileDataset, data_folder, horizontal_flip
from hvae_core.data.fingerprints import as_keys, file_digests
from hvae_core.data.held_out import hold_out
from hvae_core.data.split_names import by_folder, class_folders
from hvae_core.errors import DataError
from hvae_core.interfaces import ConditionColumn, DatasetInfo, Invariance, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec

#: folders that are named in a note
_SHOWN = 5


class ImageFolderConfig(DecodingOptions):
    """Options of a folder of images."""

    root: str = pydantic.Field(
        description="the folder; PNG, JPEG, WebP, BMP and TIFF files at any depth are read"
    )
    size: Side | tuple[Side, Side] = pydantic.Field(
        64, description="pixels to resize to, the side of a square or [height, width]"
    )
    flip: bool = pydantic.Field(
        False, description="mirror training images left to right, each with probability 1/2"
    )
    test_fraction: float = pydantic.Field(
        0.1,
        ge=0,
        lt=1,
        description="part held out as test images where there is no folder test; 0: none",
    )
    split_seed: int = pydantic.Field(0, ge=0, description="of the choice of test images")
    split_by: Literal["content", "path", "position"] = pydantic.Field(
        "content",
        description="what decides whether an image is held out, for testing or validation. "
        "content: the bytes of its file; path: the file's path below root. Either way files that "
        "come or go move no other; by content copies stay together. position: its number in the "
        "sorted list, and folders are searched as in configurations of format 1",
    )


class ImageFolder(FileDataset):
    """Images in a folder.

    Folders at any depth that are named after a split (``train``, ``Testing``, ``val2017``) are the
    splits. Where none is a training split, all other files are. Where none is a test split, test
    images are chosen from the training images, see `hvae_core.data.held_out`.
    """

    def __init__(self, options: ImageFolderConfig) -> None:
        self.options = options
        self.values = options.values.image_values()
        self.invariance = Invariance(mirrored=options.flip)
        self._notes: list[str] = []
        self._digests: dict[Path, str] = {}

    @property
    def shape(self) -> Shape3:
        """Shape [H, W, C] of an image."""
        size = self.options.decoding.size
        assert size is not None, "it has a default"
        return (*size, self.options.channels)

    @functools.cached_property
    def files(self) -> dict[str, list[Path]]:
        """The files of each split."""
        root = self._root()
        if self.options.split_by == "position":
            return self._as_of_format_1(root)
        listed = find_files(root, image_files.SUFFIXES)
        found, folders, others = by_folder(root, listed)
        if not listed:
            raise _no_images(root)
        if "train" not in found and others:
            found = {"train": others, **found}
            others = []
            if folders:
                self._note(f"{_count(found['train'])} of train from all other folders.")
        for split in sorted(folders, reverse=True):  # validation, train, test
            self._note(f"{_count(found[split])} of {split} from {_listed(folders[split], '/')}.")
        if others:
            places = sorted({path.relative_to(root).parts[0] for path in others})
            self._note(f"{_count(others)} in no folder of a split are left out: {_listed(places)}.")
        if "train" in found and "test" not in found and self.options.test_fraction:
            files = found["train"]
            stay, held = hold_out(
                self._known_by(files), self.options.test_fraction, self.options.split_seed, "test"
            )
            self._note(
                f"There is no folder of test images: {len(held)} of {_count(files)} are held out "
                f"by their {self.options.split_by} (data.test_fraction)."
            )
            found["train"] = [files[index] for index in stay]
            found["test"] = [files[index] for index in held]
        return found

    def _root(self) -> Path:
        root = data_folder(self.options.root, "image-folder")
        if not root.is_dir():
            raise DataError(f"data.root {root} is no folder.", "Give the folder with the images.")
        return root

    def _as_of_format_1(self, root: Path) -> dict[str, list[Path]]:
        """The files of each split as they were found by configurations of format 1."""
        folders = image_files.split_folders(root)
        if "train" not in folders:
            folders = {"train": root}
        found = {split: image_files.list_images(folder) for split, folder in folders.items()}
        for split, files in found.items():
            if not files:
                raise _no_images(folders[split])
        if "test" not in found and self.options.test_fraction:
            files = found["train"]
            train, test = split_validation(
                len(files), self.options.test_fraction, self.options.split_seed
            )
            found["train"] = [files[index] for index in train]
            found["test"] = [files[index] for index in test]
        self._note(
            "The splits are those of format 1 (data.split_by=position): one more file chooses the "
            "held-out images anew."
        )
        return found

    def _note(self, text: str) -> None:
        self._notes.append(text)

    def _known_by(self, files: list[Path]) -> list[str]:
        if self.options.split_by == "content":
            # Each file is read once: the test images are chosen of those of train.
            if new := [path for path in files if path not in self._digests]:
                self._digests.update(zip(new, as_keys(file_digests(new)), strict=True))
            return [self._digests[path] for path in files]
        root = self._root()
        # A file's name may be composed of other characters on another system.
        return [unicodedata.normalize("NFC", p.relative_to(root).as_posix()) for p in files]

    def keys(self, split: str) -> list[str] | None:
        """See `Dataset.keys`: the digest of the file's bytes, or its path."""
        self.check_split(split)
        if self.options.split_by == "position":
            return None
        return self._known_by(self._readable(split))

    def image_name(self, split: str, index: int) -> str:
        """See `Dataset.image_name`: the file's path below the folder."""
        return self._readable(split)[index].relative_to(self._root()).as_posix()

    def notes(self) -> tuple[str, ...]:
        """See `Dataset.notes`."""
        self.files  # noqa: B018, which finds what there is to tell
        return tuple(self._notes)

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
        images, _ = self._decoded(split)
        if not len(images):
            raise DataError(f"None of the {split} images in {self.options.root} is readable.")
        return ArraySource(images)

    def _decoded(self, split: str) -> tuple[np.ndarray, Unreadable]:
        """The images that can be read, and which cannot."""
        options, files = self.options, self.files[split]
        left_out = Unreadable()
        skipping = left_out if options.skip_unreadable else None
        images = decoded_images(
            files,
            ["image-folder", options.skip_unreadable, dataclasses.asdict(options.decoding)],
            self.shape,
            lambda: decode_chunks(image_files.named(files), options.decoding, self.shape, skipping),
            self.values.dtype,
            skipping,
        )
        note = left_out.note(split, len(files))
        if note and note not in self._notes:
            self._note(note)
        return images, left_out

    def _readable(self, split: str) -> list[Path]:
        """The files of a split's images."""
        files = self.files[split]
        if not self.options.skip_unreadable:
            return files
        _, left_out = self._decoded(split)
        gone = set(left_out.numbers)
        return [path for number, path in enumerate(files) if number not in gone]

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """See `Dataset.condition`: ``label``, the name of the folder that an image lies in.

        Folders that say the split are none of a class. The classes are the names in all splits, in
        alphabetical order.

        Raises:
            DataError: an image lies in no folder of a class.
        """
        self.check_split(split)
        if name != "label":
            return super().condition(name, split)
        classes = self._classes()
        names = tuple(sorted(set(classes.values())))
        numbers = {found: number for number, found in enumerate(names)}
        labels = [numbers[classes[path]] for path in self._readable(split)]
        return ConditionColumn(np.asarray(labels, np.int64), names)

    def _classes(self) -> dict[Path, str]:
        """The class of each file."""
        root = self._root()
        paths = [path for files in self.files.values() for path in files]
        found: list[str | None]
        if self.options.split_by == "position":  # of whose splits these folders alone can be
            places = {f.resolve() for f in (root, *image_files.split_folders(root).values())}
            found = [None if p.resolve().parent in places else p.parent.name for p in paths]
        else:
            found = class_folders(path.relative_to(root) for path in paths)
        classes = {}
        for path, name in zip(paths, found, strict=True):
            if name is None:
                raise DataError(
                    f"{path} lies in no folder of a class.",
                    "Put the images of each class into a folder of its own, such as cat/1.png, or "
                    "train/cat/1.png where there are folders of splits.",
                )
            classes[path] = name
        return classes

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Flip at random in training, if asked."""
        return horizontal_flip(images, rng) if training and self.options.flip else images


def _no_images(folder: Path) -> DataError:
    return DataError(
        f"{folder} has no images.", f"Images end in {', '.join(sorted(image_files.SUFFIXES))}."
    )


def _count(files: list[Path]) -> str:
    return f"{len(files):,} image{'s' if len(files) != 1 else ''}"


def _listed(names: list[str], ending: str = "") -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"{name}{ending}" for name in names[:_SHOWN]) + more


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="image-folder",
        summary="a folder of one's own images, cropped and resized",
        builder=ImageFolder,
        config=ImageFolderConfig,
        image_values=lambda options: options.values.image_values(),
    )
