"""What a run records of its images, by which it is known whether they are still the same.

``data.json`` has the number and SHA-256 of the images of each split that was read when the run was
started; ``data-digests.npy`` a digest of each image of the training split, in their order.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.data.arrays import map_npy
from hvae_core.data.fingerprints import Fingerprint, fingerprint, image_digests
from hvae_core.errors import BadInputError, ConfigError, DataError
from hvae_core.files.foreign_numbers import is_whole
from hvae_core.files.json_files import read_object
from hvae_core.files.paths import is_file
from hvae_core.files.replacing import flush_folder, replace_file
from hvae_core.interfaces import ImageSource

DATA_FILE = "data.json"
DIGESTS_FILE = "data-digests.npy"
#: the split that a run's images are of
TRAIN = "train"
#: of each split
_RECORDED = ("images", "sha256")


@dataclasses.dataclass(frozen=True)
class DataRecord:
    """The images of a run.

    Args:
        splits: the fingerprints of the splits that were read, by name; ``"train"`` is one of them.
    """

    splits: Mapping[str, Fingerprint]

    @property
    def training(self) -> Fingerprint:
        """Of the split that training and validation images are of."""
        return self.splits[TRAIN]

    def summary(self) -> dict[str, dict[str, Any]]:
        """The number and SHA-256 of the images of each split, as plain values."""
        return {
            name: {"images": found.images, "sha256": found.sha256}
            for name, found in self.splits.items()
        }

    @classmethod
    def of_summary(cls, values: Any) -> DataRecord:
        """The record that `summary` was made of, without the digests of its images.

        Raises:
            ValueError: it is of another form.
        """
        if not isinstance(values, Mapping) or TRAIN not in values:
            raise ValueError("no splits of which one is of the training")
        return cls({str(name): _fingerprint(found) for name, found in values.items()})

    def write(self, folder: Path) -> None:
        """Write both files.

        Digests of other images are removed first, so that none ever lie beside a ``data.json`` of
        other images than theirs.

        Raises:
            OSError: they cannot be written.
        """
        digests, path = self.training.digests, folder / DIGESTS_FILE
        content = None if digests is None else _as_npy(digests)
        if path.exists() and path.read_bytes() != content:
            path.unlink()
            flush_folder(folder)
        replace_file(folder / DATA_FILE, json.dumps({"splits": self.summary()}, indent=2) + "\n")
        if content is not None:
            replace_file(path, content)

    @classmethod
    def read(cls, folder: Path) -> DataRecord | None:
        """What a run folder has, or None where it has none, as those of older versions.

        Raises:
            BadInputError: it is damaged.
        """
        path = folder / DATA_FILE
        if not path.is_file():
            return None
        try:
            record = cls.of_summary(read_object(path, BadInputError).get("splits"))
            training = record.training
            if (folder / DIGESTS_FILE).is_file():
                digests = np.array(map_npy(folder / DIGESTS_FILE))
                if digests.dtype != np.uint64 or digests.shape != (training.images,):
                    raise ValueError("no digests of these images")
                known = dataclasses.replace(training, digests=digests)
                record = cls({**record.splits, TRAIN: known})
        except (BadInputError, DataError, ValueError) as error:
            raise BadInputError(
                f"{path} or {DIGESTS_FILE} beside it is damaged; they should hold the digests of "
                "the run's images.",
                "Remove both to go on without them; whether the images changed is then not known.",
            ) from error
        return record


def _as_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _fingerprint(found: Any) -> Fingerprint:
    """That of a split, from what a file says of it.

    Raises:
        ValueError: it is of another form.
    """
    images, sha256 = (found.get(k) if isinstance(found, Mapping) else None for k in _RECORDED)
    if not is_whole(images) or not isinstance(sha256, str):
        raise ValueError("no number and no SHA-256 of the images of a split")
    return Fingerprint(images, sha256)


def changed(before: Fingerprint, now: Fingerprint) -> str:
    """What became of a run's images, in words; "" where they are the same."""
    if before.sha256 == now.sha256:
        return ""
    if before.digests is None or now.digests is None:
        return f"they were {before.images:,} and are {now.images:,}, or others"
    were: Counter[int] = Counter(before.digests.tolist())
    are: Counter[int] = Counter(now.digests.tolist())
    added, removed = (are - were).total(), (were - are).total()
    if not added and not removed:
        return "they are the same in another order"
    return f"{added:,} came and {removed:,} went, of {before.images:,}"


def check_unchanged(before: Fingerprint, now: Fingerprint, run: Any) -> None:
    """Refuse to go on with a run whose images are others now.

    Raises:
        ConfigError: they are.
    """
    change = changed(before, now)
    if change:
        raise ConfigError(
            f"The training images are not those that the run in {run} was started with: {change}.",
            "Bring them back, start a new run in another --output, or go on with the images as "
            "they are now with --allow-changed-data (allow_changed_data=True).",
        )


def record_of(source: Any) -> DataRecord | None:
    """What is recorded of the images of the run that a model was loaded from.

    Args:
        source: what it was loaded from.

    Returns:
        None where that is no run, or nothing is recorded.
    """
    if not isinstance(source, str | Path) or not is_file(Path(source) / DATA_FILE):
        return None
    return DataRecord.read(Path(source))


def known_images(
    source: ImageSource, split: str, count: int, record: DataRecord | None
) -> dict[str, Any]:
    """What is known of images that a model is measured on, by those its run was started with.

    Args:
        source: the images of a split.
        split: its name.
        count: how many of them are measured, the first ones.
        record: what the run recorded; None: nothing is known of it.

    Returns:
        Of images in an array ``sha256``; with a record ``in_training_split``, how many of those
        measured are equal to one of the training split, and ``changed``, whether the split is
        another than the run's.
    """
    if image_digests(source) is None:
        return {}
    found = fingerprint(source)
    known: dict[str, Any] = {"sha256": found.sha256}
    if record is None or found.digests is None:
        return known
    if record.training.digests is not None:
        seen = np.isin(found.digests[:count], record.training.digests)
        known["in_training_split"] = int(seen.sum())
    if split in record.splits:
        known["changed"] = record.splits[split].sha256 != found.sha256
    return known
