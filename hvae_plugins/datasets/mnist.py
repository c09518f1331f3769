"""MNIST: 70,000 handwritten digits of 28x28 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydantic

from hvae_core.data.arrays import ArraySource
from hvae_core.data.binarize import BINARIZATION_HELP, Binarization, binarize_once, draw
from hvae_core.data.files import DownloadOptions, FileDataset, data_folder
from hvae_core.data.idx import read_idx_images, read_idx_labels
from hvae_core.errors import DataError, DownloadError
from hvae_core.files.places import offline
from hvae_core.interfaces import ConditionColumn, DatasetInfo, Invariance, Shape3
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
_FILES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
_MD5 = {
    "train": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "test": "9fb629c4189551a2d022fa330f9573f3",
}
_SIZES = {"train": 9_912_422, "test": 1_648_877}
#: labels: file, md5 and size
_LABELS = {
    "train": ("train-labels-idx1-ubyte", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
    "test": ("t10k-labels-idx1-ubyte", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
}
_SIDE = 28


class MnistConfig(DownloadOptions):
    """Options of MNIST."""

    padding: int = pydantic.Field(
        2, ge=0, description="black pixels added on each side: 2 makes 32x32 images of 28x28 ones"
    )
    binarization: Binarization = pydantic.Field("dynamic", description=BINARIZATION_HELP)
    near_exact: bool = pydantic.Field(
        False,
        description="also accept train-images-idx3-ubyte.near-exact.gz in data.root, a copy whose "
        "training pixels of value 1 are 0 in part; results on it are not on canonical MNIST",
    )


class Mnist(FileDataset):
    """MNIST from the four canonical idx files; those of the labels for a conditional model only."""

    info = DatasetInfo(
        title="MNIST",
        origin="http://yann.lecun.com/exdb/mnist/",
        version="canonical idx files, md5 " + " and ".join(_MD5.values()),
        licence="CC-BY-SA-3.0 (often given; the original page states none)",
        citation="LeCun, Y., Cortes, C., Burges, C. J. C. The MNIST database of handwritten "
        "digits.",
        sizes={"train": 60_000, "test": 10_000},
        download_bytes=sum(_SIZES.values()),
    )
    splits = ("train", "test")
    # A margin is left around a digit, to turn and move in.
    invariance = Invariance(range="large", background=0)

    def __init__(self, options: MnistConfig) -> None:
        self.options = options

    @property
    def shape(self) -> Shape3:
        """Shape [H, W, 1] of an image with its padding."""
        side = _SIDE + 2 * self.options.padding
        return (side, side, 1)

    def prepare(self) -> None:
        """Download the files that are not here; none if ``data.root`` is given."""
        for split in self.splits:
            self._file(split)

    def load(self, split: str) -> ArraySource:
        """See `Dataset.load`."""
        self.check_split(split)
        path = self._file(split)
        images = read_idx_images(path)
        if images.shape[1:] != (_SIDE, _SIDE, 1):
            raise DataError(
                f"{path} holds images of {images.shape[1]}x{images.shape[2]} pixels; MNIST's are "
                f"{_SIDE}x{_SIDE}.",
                "Use the canonical files.",
            )
        # Before the padding, so that a static draw does not depend on it.
        images = binarize_once(images, self.options.binarization, seed=int(split == "train"))
        margin = (self.options.padding, self.options.padding)
        return ArraySource(np.pad(images, ((0, 0), margin, margin, (0, 0))))

    def condition(self, name: str | tuple[str, ...], split: str) -> ConditionColumn:
        """See `Dataset.condition`: ``label``, the digit."""
        self.check_split(split)
        if name != "label":
            return super().condition(name, split)
        return ConditionColumn(read_idx_labels(self._labels_file(split)), tuple("0123456789"))

    def _labels_file(self, split: str) -> Path:
        folder = data_folder(self.options.root, "mnist")
        name, md5, size = _LABELS[split]
        for candidate in (f"{name}.gz", name, name.replace("-idx1", ".idx1")):
            if (folder / candidate).is_file():
                return folder / candidate
        if self.options.root is not None:
            raise DataError(
                f"{folder / name}.gz is missing, which a conditional model needs.",
                "Put the canonical file there, or leave data.root unset to download it.",
            )
        return self._download(folder / f"{name}.gz", md5, size)

    def transform(self, images: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Draw the pixels, where the binarization is dynamic."""
        return draw(images, rng) if self.options.binarization == "dynamic" else images

    def _file(self, split: str) -> Path:
        folder = data_folder(self.options.root, "mnist")
        name = _FILES[split]
        candidates = [f"{name}.gz", name, name.replace("-idx3", ".idx3")]
        near_exact = folder / f"{name}.near-exact.gz"
        for candidate in candidates:
            if (folder / candidate).is_file():
                return folder / candidate
        if self.options.root is None:
            return self._download(folder / f"{name}.gz", _MD5[split], _SIZES[split])
        if not near_exact.is_file():
            raise DataError(
                f"{folder / name}.gz is missing.",
                "Put the canonical file there, or leave data.root unset to download it.",
            )
        if self.options.near_exact:
            return near_exact
        raise DataError(
            f"{folder / name}.gz is missing; {near_exact.name} is there, which is not canonical.",
            "Set data.near_exact=true to use it, and say so with the results.",
        )

    def _download(self, target: Path, md5: str, size: int) -> Path:
        from hvae_core.fetching.download import fetch

        mirrors = (self.options.url,) if self.options.url else _MIRRORS
        for number, mirror in enumerate(mirrors, start=1):
            try:
                return fetch(
                    f"{mirror.rstrip('/')}/{target.name}",
                    target,
                    md5=md5,
                    size=size,
                    progress=self.progress,
                )
            except DownloadError:
                if number == len(mirrors) or offline():
                    raise
        raise AssertionError("there is at least one mirror")


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the data set."""
    return ComponentSpec(
        kind="dataset",
        name="mnist",
        summary="MNIST, handwritten digits, 28x28 grey, padded to 32x32 and binarized",
        builder=Mnist,
        config=MnistConfig,
        references=("LeCun, Bottou, Bengio and Haffner 1998, Proc. IEEE 86(11)",),
    )
