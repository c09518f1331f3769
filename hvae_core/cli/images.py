"""The images a command works on: files of the user's, or images of a data set."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hvae_core.cli.common import WholeNumber, refuse_given
from hvae_core.cli.given_images import NamedImages, read_images
from hvae_core.errors import BadInputError, DataError, DownloadError

if TYPE_CHECKING:
    import numpy as np

    from hvae_core.config import Config
    from hvae_core.exported.exported_model import ExportedModel
    from hvae_core.interfaces import Dataset
    from hvae_core.vae import HierarchicalVAE


#: images of a data set that a command takes unless it is told how many
COUNT = 8
#: what `dataset_options` adds, and what it is for in a refusal
DATASET_OPTIONS = ("--dataset", "--split", "--set")
OF_DATA_SETS = "it is for images of a data set"


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
        """The images: [B, H, W, C]; arguments and errors as in `read_named`."""
        return self.read_named(model, whole).pixels

    def read_named(
        self, model: HierarchicalVAE | ExportedModel, whole: bool = False
    ) -> NamedImages:
        """The images and their names.

        Args:
            model: the model.
            whole: in the size that they have, which must be the same.

        Raises:
            HvaeError: see `read_images`, `chosen_dataset` and `dataset_images`.
        """
        if self.images:
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
            numbers = range(count or COUNT)
            images = dataset_images(chosen, self.split, numbers)
            return NamedImages(images, [chosen.image_name(self.split, n) for n in numbers])


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
        if images:
            refuse_given("--count", *DATASET_OPTIONS, why=f"{OF_DATA_SETS}, and --images are given")
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
