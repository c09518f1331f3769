"""The images a command works on: files of the user's, or images of a data set."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hvae_core.cli.common import WholeNumber
from hvae_core.errors import BadInputError, DataError, DownloadError

if TYPE_CHECKING:
    import numpy as np

    from hvae_core.config import Config
    from hvae_core.exported.exported_model import ExportedModel
    from hvae_core.interfaces import Dataset
    from hvae_core.vae import HierarchicalVAE


#: images of a data set that a command takes unless it is told how many
COUNT = 8


def dataset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options ``--dataset``, ``--split`` and ``--set``."""
    for option in (
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE",
            help="Override an option of the data set, such as data.root=DIR. Repeatable.",
        ),
        click.option("--split", default="test", show_default=True, help="Which of its splits."),
        click.option("--dataset", help="A data set's name (else the model's own)."),
    ):  # fmt: skip
        command = option(command)
    return command


class Selection:
    """The images that a command with `image_options` asks for.

    Args:
        images: files of the user's, see `read_images`; none: images of a data set.
        dataset: see `chosen_dataset`.
        split: of the data set.
        overrides: see `chosen_dataset`.
        count: images of the data set; None: `COUNT`, or all where there are fewer.
    """

    def __init__(
        self,
        images: Sequence[str],
        dataset: str | None,
        split: str,
        overrides: Sequence[str],
        count: int | None,
    ) -> None:
        self.images, self.split, self.count = images, split, count
        self._dataset, self._overrides = dataset, overrides
        self._opened: Dataset | None = None

    def open(self, config: Config) -> Dataset:
        """The data set, opened once.

        Args:
            config: of the model that the command is for.

        Raises:
            HvaeError: see `chosen_dataset`.
        """
        if self._opened is None:
            self._opened = chosen_dataset(config, self._dataset, self._overrides)
        return self._opened

    def read(self, model: HierarchicalVAE | ExportedModel, whole: bool = False) -> np.ndarray:
        """The images: [B, H, W, C].

        Args:
            model: the model.
            whole: in the size that they have, which must be the same.

        Raises:
            HvaeError: see `read_images`, `chosen_dataset` and `dataset_images`.
        """
        if self.images:
            if self.count is not None:
                raise BadInputError(
                    f"--count is {self.count}, but it is for images of a data set, and --images "
                    "are given.",
                    "Leave one of them out.",
                )
            return read_images(self.images, model, whole)
        chosen = self.open(model.config)
        model.check_images(chosen.shape if not whole else model.image_shape, chosen.values)
        with other_ways("--images FILE"):
            count = self.count
            if self.split in chosen.splits:
                there = len(chosen.load(self.split))
                if count is not None and count > there:
                    raise BadInputError(
                        f"--count is {count}; the split {self.split!r} has {there} images."
                    )
                count = min(COUNT, there) if count is None else count
            return dataset_images(chosen, self.split, range(count or COUNT))


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options ``--images`` and ``--count`` with those of `dataset_options`.

    The command is given them as one argument ``selection``, a `Selection`.
    """

    @functools.wraps(command)
    def gathered(
        images: tuple[str, ...],
        dataset: str | None,
        split: str,
        overrides: tuple[str, ...],
        count: int | None,
        **options: Any,
    ) -> Any:
        selection = Selection(images, dataset, split, overrides, count)
        return command(selection=selection, **options)

    decorated: Callable[..., Any] = gathered
    for option in (
        click.option(
            "--count", type=WholeNumber(1),
            help=f"Images of the data set, where no --images are given (else {COUNT}, or all).",
        ),
        dataset_options,
        click.option(
            "--images", multiple=True, metavar="FILE|DIR|NPZ",
            help="An image of yours, a folder of them, or an array. Repeatable.",
        ),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated


def chosen_dataset(config: Config, name: str | None, overrides: Sequence[str]) -> Dataset:
    """The data set a command asks for: the model's own, or another, with overrides.

    Raises:
        ConfigError: there is no such data set, or an override is not of the section data.
    """
    from hvae_core.config import parse_config
    from hvae_core.data import open_dataset
    from hvae_core.errors import ConfigError

    for text in overrides:
        if not text.startswith("data."):
            raise ConfigError(
                f"The override {text!r} is not of the section data.",
                "Here only the data set can be changed, as in --set data.root=DIR",
            )
    values = config.to_dict()
    if name is not None and name != config.data.name:
        values["data"] = {"name": name}
    return open_dataset(parse_config(values, overrides).data)


@contextmanager
def other_ways(images: str = "") -> Iterator[None]:
    """What to do where a data set cannot be downloaded, added to that error's hint.

    Args:
        images: how the command takes images of the user's own, such as ``--images FILE``.
    """
    try:
        yield
    except DownloadError as error:
        own = f"take images of yours with {images}, or " if images else ""
        way = f"Or {own}name the folder that has the data set's files with --set data.root=DIR"
        hint = f"{error.hint.rstrip('.')}. {way}" if error.hint else way
        raise DownloadError(error.message, hint) from error


def read_image(
    path: str, model: HierarchicalVAE | ExportedModel, whole: bool = False
) -> np.ndarray:
    """An image file as the model takes images: native values [H, W, C].

    Cropped to the model's proportions and resized, or ``whole``; and padded and binarized where its
    data are.

    Raises:
        DataError: there is no such file, or it is no image; names the file.
    """
    from hvae_core.images.user_images import as_trained_on, padding_of, read_user_image

    shape = (None, None, model.image_shape[-1]) if whole else model.image_shape
    padding = 0 if whole else padding_of(model.config)
    fitted = read_user_image(path, shape, values=model.image_values, padding=padding)
    return as_trained_on(fitted, model.config).pixels


def dataset_images(dataset: Dataset, split: str, indices: Sequence[int]) -> np.ndarray:
    """Images of a split by number, as an evaluation sees them: [B, H, W, C].

    Raises:
        DataError: there is no such split, or no image of that number.
    """
    import numpy as np

    from hvae_core.errors import did_you_mean

    if split not in dataset.splits:
        raise DataError(
            f"The data set has no split {split!r}.", did_you_mean(split, dataset.splits)
        )
    source = dataset.load(split)
    for index in indices:
        if not 0 <= index < len(source):
            raise DataError(
                f"There is no image {index}: the split {split!r} has {len(source)}, from 0 on."
            )
    chosen = source.batch(np.asarray(indices))
    return dataset.transform(chosen, np.random.default_rng(0), False)


def read_images(
    paths: Sequence[str], model: HierarchicalVAE | ExportedModel, whole: bool = False
) -> np.ndarray:
    """Images as the model takes them, [B, H, W, C], in the order of the paths.

    Args:
        paths: image files (see `read_image`), folders of them, ``.npy`` files and TIFF stacks with
            images of the model's shape, and ``.npz`` archives with such an array ``images``, or one
            array of another name.
        model: the model.
        whole: in the size that they have, which must be the same.

    Raises:
        DataError: a path is none of these, or holds no image, or is of another size than the first;
            names it.
        BadInputError: an archive's images are not of the model's shape; names it.
    """
    import numpy as np

    from hvae_core.data.file_search import find_files
    from hvae_core.data.image_files import SUFFIXES
    from hvae_core.data.tiff import is_stack

    found = []
    for path in map(Path, paths):
        if path.is_dir():
            files = find_files(path, SUFFIXES)
            if not files:
                raise DataError(
                    f"{path} has no images.", f"Images end in {', '.join(sorted(SUFFIXES))}."
                )
            found += [(file, read_image(str(file), model, whole)[None]) for file in files]
        elif path.suffix.lower() in (".npy", ".npz") or is_stack(path):
            found.append((path, _read_arrays(path, model, whole)))
        else:
            found.append((path, read_image(str(path), model, whole)[None]))
    size = found[0][1].shape[1:3]
    for file, images in found:
        if images.shape[1:3] != size:
            raise DataError(
                f"{file} is of {images.shape[1]}x{images.shape[2]}, and {found[0][0]} of "
                f"{size[0]}x{size[1]}; images that keep their size must be of one.",
                "Take those of each size by themselves.",
            )
    return np.concatenate([images for _, images in found])


def _read_arrays(
    path: Path, model: HierarchicalVAE | ExportedModel, whole: bool = False
) -> np.ndarray:
    from hvae_core.data import tiff
    from hvae_core.data.arrays import map_npy, read_member
    from hvae_core.inference.arguments import check_images
    from hvae_core.inference.tiles import check_whole_images

    def choose(names: list[str]) -> str:
        if "images" not in names and len(names) != 1:
            raise DataError(
                f"{path} has the arrays {', '.join(names) or 'none'}; expected one called images."
            )
        return "images" if "images" in names else names[0]

    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.suffix.lower() in tiff.SUFFIXES:
        array = tiff.read_tiff(path)
    else:
        array = map_npy(path) if path.suffix.lower() == ".npy" else read_member(path, choose)
    if array.shape == tuple(model.image_shape) or (whole and array.ndim == 3):
        array = array[None]
    return (check_whole_images if whole else check_images)(model, array, str(path))
