"""Images in arrays on disk: ``.npy``, ``.npz`` and TIFF stacks."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydantic

from hvae_core.data import tiff
from hvae_core.data.arrays import ArraySource, map_npy, read_member
from hvae_core.data.conditions import check_entries
from hvae_core.data.decoded import decoded_images
from hvae_core.data.own_images import NativeOptions, OwnImages
from hvae_core.data.pixels import common_unit, native, quantized, unit_of
from hvae_core.data.split_options import SplitOptions, Splits
from hvae_core.errors import DataError, did_you_mean
from hvae_core.files.paths import expand_home
from hvae_core.interfaces import UINT8, ConditionColumn, DatasetInfo, ImageValues, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec

_CHUNK = 1024
_SUFFIXES = (".npy", ".npz", *sorted(tiff.SUFFIXES))


class ArraysConfig(NativeOptions, SplitOptions):
    """Options of images in arrays on disk."""

    files: dict[str, str] = pydantic.Field(
        description="the file of each split, as in {train: a.npy, test: b.npz}, or one file for "
        "all; .npy (memory-mapped), .npz, .tif or .tiff"
    )
    root: str | None = pydantic.Field(
        None, description="folder that the files are in; the working directory if unset"
    )
    key: str | None = pydantic.Field(
        None,
        description="array of an .npz file; if unset x_train, train_images or train for the split "
        "train and so on, else the only one",
    )
    channels: Literal["last", "first"] = pydantic.Field(
        "last", description="last: [N, H, W, C], or [N, H, W] of one channel; first: [N, C, H, W]"
    )

    @pydantic.field_validator("files", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        return {"train": value} if isinstance(value, str) else value

    @pydantic.field_validator("files")
    @classmethod
    def _known_kinds(cls, files: dict[str, str]) -> dict[str, str]:
        if not files:
            raise ValueError("files is empty; expected a file for each split")
        for name in files.values():
            if Path(name).suffix.lower() not in _SUFFIXES:
                raise ValueError(f"files has {name}; expected a file {', '.join(_SUFFIXES)}")
        return files


class Arrays(OwnImages):
    """Images in arrays on disk.

    Without a file for the split ``test``, test images are chosen from the training images, see
    `hvae_core.data.split_options`.
    """

    def __init__(self, options: ArraysConfig) -> None:
        super().__init__(options)
        self.options = options
        self._splits = Splits(options, lambda: options.files, self._open)

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]
        """The splits that have a file, and ``test`` where it is held out."""
        return self._splits.names

    @functools.cached_property
    def info(self) -> DatasetInfo:  # type: ignore[override]
        """What the files tell of themselves."""
        return DatasetInfo(
            title=f"Arrays in {', '.join(dict.fromkeys(self.options.files.values()))}",
            origin=", ".join(str(self._path(split)) for split in self.options.files),
            version="as found",
            licence="unknown",
            sizes={split: len(self.open_split(split)) for split in self.splits},
        )

    @property
    def shape(self) -> Shape3:
        """Shape [H, W, C] of an image."""
        return self._splits.images(next(iter(self.options.files))).shape[1:]

    def prepare(self) -> None:
        """Convert all splits that are of another type."""
        for split in self.splits:
            self.open_split(split)

    def open_split(self, split: str) -> ArraySource:
        """See `OwnImages.open_split`."""
        # Of a file that is larger than memory, only the first images are looked at before.
        checked = None if self.values == UINT8 else self.values
        return self._splits.source(split, checked, str(self._path(self._splits.stored_in(split))))

    def keys(self, split: str) -> list[str] | None:
        """See `Dataset.keys`: the digests of the images' values."""
        return self._splits.keys(split)

    def notes(self) -> tuple[str, ...]:
        """See `Dataset.notes`."""
        return self._splits.note("file")

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """See `Dataset.condition`: another array of the split's .npz file, or a .npy file beside.

        ``label`` is ``label`` or ``labels``, and also what Keras calls it: ``y_train``.
        """
        of = self._splits.stored_in(split)
        wanted = [name] if isinstance(name, str) else list(name)
        columns = [self._condition(one, of) for one in wanted]
        if len(columns) == 1:
            return self._splits.column(ConditionColumn(columns[0]), split)
        for one, column in zip(wanted, columns, strict=True):
            if column.dtype.kind not in "iufb" or column.ndim > 2:
                raise DataError(
                    f"The {one} of {self._path(of)}'s images is {column.dtype} of shape "
                    f"{list(column.shape)}; expected a number, or a row of numbers, for each.",
                    "Name arrays of numbers, or one alone, with data.condition.",
                )
        return self._splits.column(ConditionColumn(np.column_stack(columns), tuple(wanted)), split)

    def _condition(self, name: str, split: str) -> np.ndarray:
        """An array with an entry for each image that is stored."""
        column, path = self._stored(name, split)
        where = f"{path}, which says the {name} of {self._path(split).name}'s images,"
        check_entries(column, len(self._splits.images(split)), where)
        return column

    def _stored(self, name: str, split: str) -> tuple[np.ndarray, Path]:
        """An array as it is stored, and where."""
        path = self._path(split)
        usual = ("label", "labels", f"y_{split}", f"{split}_labels") if name == "label" else (name,)
        if path.suffix.lower() == ".npz":

            def choose(names: list[str]) -> str:
                for one in usual:
                    if one in names:
                        return one
                raise DataError(f"{path} has no array {name!r}.", did_you_mean(name, names))

            return read_member(path, choose), path
        beside = path.with_name(f"{path.stem}.{name}.npy")
        if not beside.is_file():
            raise DataError(
                f"There is no {beside}, in which the {name} of {path.name}'s images would be."
            )
        return map_npy(beside), beside

    def _path(self, split: str) -> Path:
        root = expand_home(self.options.root or "", DataError, "data.root")
        return root / self.options.files[split]

    def _open(self, split: str) -> np.ndarray:
        """All images of a file: native values [N, H, W, C], memory-mapped where that can be."""
        path = self._path(split)
        array = self._laid_out(path, self._read(path, split))
        if not len(array):
            raise DataError(f"{path} has no images.")
        if not array.size:
            raise DataError(
                f"{path} holds images of {array.shape[1]}x{array.shape[2]} pixels and "
                f"{array.shape[3]} channels; expected at least one of each.",
                "Save the images again, as an array [N, H, W, C].",
            )
        if array.dtype == self.values.dtype:
            if self.values != UINT8:
                native(array[:_CHUNK], self.values, str(path))
            elif not any(part.max() > 1 for part in _parts(array)):
                common_unit({None}, False, str(path))
            return array
        shape = (array.shape[1], array.shape[2], array.shape[3])
        recipe: list[Any] = ["arrays", self.options.key, split, self.options.channels]
        if self.values != UINT8:
            recipe.append(self.values.to_dict())
        return decoded_images(
            [path], recipe, shape, lambda: _converted(array, self.values, path), self.values.dtype
        )

    def _read(self, path: Path, split: str) -> np.ndarray:
        suffix = path.suffix.lower()
        if suffix in tiff.SUFFIXES:
            return tiff.read_tiff(path)
        if suffix == ".npy":
            return map_npy(path)
        return read_member(path, lambda names: self._key(path, split, names))

    def _key(self, path: Path, split: str, names: list[str]) -> str:
        wanted = self.options.key
        if wanted is None:
            usual = (f"x_{split}", f"{split}_images", split)
            found = [name for name in usual if name in names] or names
            if len(found) == 1 or found is not names:
                return found[0]
            raise DataError(
                f"{path} holds several arrays: {', '.join(names)}.",
                "Name that of the images with data.key.",
            )
        if wanted not in names:
            raise DataError(f"{path} has no array {wanted!r}.", did_you_mean(wanted, names))
        return wanted

    def _laid_out(self, path: Path, array: np.ndarray) -> np.ndarray:
        if path.suffix.lower() in tiff.SUFFIXES:
            return array
        if array.ndim == 3:
            return array[..., None]
        if array.ndim == 4:
            return np.moveaxis(array, 1, -1) if self.options.channels == "first" else array
        raise DataError(
            f"{path} holds an array of shape {list(array.shape)}; expected images [N, H, W, C] or "
            "[N, H, W].",
            "Give it this shape with numpy.reshape and save it again.",
        )


def _parts(array: np.ndarray) -> list[np.ndarray]:
    return [array[start : start + _CHUNK] for start in range(0, len(array), _CHUNK)]


def _converted(array: np.ndarray, values: ImageValues, path: Path) -> Iterator[np.ndarray]:
    """The images in native values, part by part.

    Raises:
        DataError: something would be lost.
    """
    parts = _parts(array)
    if values != UINT8:
        yield from (native(part, values, str(path)) for part in parts)
        return
    unit = common_unit({unit_of(part) for part in parts}, array.dtype.kind == "f", str(path))
    for part in parts:
        yield quantized(part, unit, str(path))


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="arrays",
        summary="one's own images in .npy, .npz and TIFF files",
        builder=Arrays,
        config=ArraysConfig,
        image_values=lambda options: options.values.image_values(),
    )
