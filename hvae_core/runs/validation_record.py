"""Which images a run holds out: ``validation.json``.

It says so by their numbers and of which images these are, and by a digest of each. So the one file
is enough to find them again, whichever of a run's other files a process was killed before writing.
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np

from hvae_core.data.fingerprints import Fingerprint, as_keys
from hvae_core.errors import BadInputError
from hvae_core.files.foreign_numbers import is_whole
from hvae_core.files.json_files import read_object
from hvae_core.files.replacing import replace_file

VALIDATION_FILE = "validation.json"
#: some 15 million images
_MAX_BYTES = 1 << 29
_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclasses.dataclass(frozen=True)
class ValidationRecord:
    """The images that a run holds out.

    Args:
        indices: int64 [N], their numbers in the training split.
        sha256: of the training split that they are numbers in; None: an older version wrote them.
        digests: uint64 [N], of each of them; None: not known.
    """

    indices: np.ndarray
    sha256: str | None = None
    digests: np.ndarray | None = None

    @classmethod
    def of(cls, indices: np.ndarray, split: Fingerprint | None) -> ValidationRecord:
        """Those of a training split with this fingerprint; None: nothing is known of it."""
        if split is None:
            return cls(indices)
        digests = None if split.digests is None else split.digests[indices]
        return cls(indices, split.sha256, digests)

    def write(self, folder: Path) -> None:
        """Write the file.

        Raises:
            OSError: it cannot be written.
        """
        values = {"split": "train", "sha256": self.sha256, "indices": self.indices.tolist()}
        if self.digests is not None:
            values["digests"] = as_keys(self.digests)
        replace_file(folder / VALIDATION_FILE, json.dumps(values) + "\n")

    @classmethod
    def read(cls, folder: Path) -> ValidationRecord | None:
        """What a run folder has, or None where it has none.

        Raises:
            BadInputError: it is damaged.
        """
        path = folder / VALIDATION_FILE
        if not path.is_file():
            return None
        try:
            found = read_object(path, BadInputError, most=_MAX_BYTES)
            indices, sha256, digests = (found.get(k) for k in ("indices", "sha256", "digests"))
            if not isinstance(indices, list) or not all(map(is_whole, indices)):
                raise BadInputError("There is no list of indices.")
            if not isinstance(sha256, str | None):
                raise BadInputError("There is no SHA-256.")
            if digests is not None:
                digests = _digests(digests, len(indices))
            return cls(np.asarray(indices, np.int64), sha256, digests)
        except BadInputError as error:
            raise BadInputError(
                f"{path} is damaged; it should hold the indices of the validation images.",
                "Remove it to have them drawn again from train.seed.",
            ) from error


def _digests(found: object, count: int) -> np.ndarray:
    """So many digests, from what the file has.

    Raises:
        BadInputError: they are none.
    """
    if not isinstance(found, list) or len(found) != count:
        raise BadInputError("There is no digest of each image.")
    if not all(isinstance(text, str) and _DIGEST.fullmatch(text) for text in found):
        raise BadInputError("What should be digests is something else.")
    return np.fromiter((int(text, 16) for text in found), np.uint64, count)
