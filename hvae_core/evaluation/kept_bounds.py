"""Each image's bounds in a file, from which an interrupted evaluation goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hvae_core.errors import BadInputError
from hvae_core.files.foreign_numbers import is_number
from hvae_core.files.json_files import MAX_BYTES, read_object
from hvae_core.files.replacing import disk_errors, replace_file

#: what a backend may change in an image's ELBO, relative and in nats
_RELATIVE, _ABSOLUTE = 1e-5, 1e-3
#: of both bounds of an image, as JSON
_BYTES = 64
_ANOTHER_FILE = "Name a file that does not exist yet, or one that --bounds wrote."


class KeptBounds:
    """The bounds of an evaluation's images in a JSON file.

    It holds what is evaluated (``about``), and by image, in their order, ``elbo`` and perhaps
    ``importance_weighted``, in nats. There is no digest of the model, which may be an export: the
    ELBO, which is quick, is computed again, and its images tell whether the file is of another.

    Args:
        path: the file; what it holds is gone on from.
        about: what is evaluated and how, plain values.

    Raises:
        BadInputError: the file is of something else, or cannot be read.
        HvaeError: it cannot be written.
    """

    def __init__(self, path: str | Path, about: Mapping[str, Any]) -> None:
        self.path, self.about = Path(path), dict(about)
        self._elbo = np.zeros(0)
        #: the importance-weighted bounds of the first images, as many as there are
        self.weighted = np.zeros(0)
        if os.path.exists(self.path):
            self._read()
        else:
            self._write()  # what cannot be written is told before hours of work

    def _read(self) -> None:
        most = MAX_BYTES + _BYTES * self.about.get("images", 0)
        content = read_object(self.path, BadInputError, _ANOTHER_FILE, most)
        about = content.get("about")
        if not isinstance(about, dict):
            raise self._other("holds no bounds of an evaluation")
        self._elbo = self._numbers(content, "elbo")
        self.weighted = self._numbers(content, "importance_weighted", [])
        if not len(self.weighted):  # any number of draws may follow
            about = {**about, "importance_samples": self.about.get("importance_samples")}
        for key, value in self.about.items():
            if about.get(key) != value:
                name = key.replace("_", " ")
                raise self._other(f"is of another evaluation: {name} {about.get(key)}, not {value}")
        if len(self.weighted) > len(self._elbo):
            raise self._other("has more importance-weighted bounds than images")

    def _numbers(self, content: Mapping[str, Any], key: str, default: Any = None) -> np.ndarray:
        value = content.get(key, default)
        # A float may be of any size, NaN too: a model's bound that is not finite is kept.
        if not isinstance(value, list) or not all(
            isinstance(n, float) or is_number(n) for n in value
        ):
            raise self._other(f"has no list of numbers {key}")
        return np.asarray(value, np.float64)

    def _other(self, what: str) -> BadInputError:
        return BadInputError(f"{self.path} {what}.", _ANOTHER_FILE)

    def begin(self, elbo: np.ndarray) -> None:
        """Take the ELBO of all images [N], and write the file if it is new.

        Raises:
            BadInputError: the file is of other images, of another model or of other weights.
        """
        before, self._elbo = self._elbo, elbo.astype(np.float64)
        if not len(before):
            self._write()
        elif before.shape != elbo.shape or not np.allclose(
            before, self._elbo, _RELATIVE, _ABSOLUTE, equal_nan=True
        ):
            raise self._other("is of another model, of other weights or of other images")

    def add(self, weighted: np.ndarray) -> None:
        """Write the importance-weighted bounds [b] of the images that follow."""
        self.weighted = np.concatenate([self.weighted, weighted.astype(np.float64)])
        self._write()

    def _write(self) -> None:
        content = {
            "about": self.about,
            "elbo": self._elbo.tolist(),
            **({"importance_weighted": self.weighted.tolist()} if len(self.weighted) else {}),
        }
        with disk_errors(f"write {self.path}"):
            replace_file(self.path, json.dumps(content) + "\n")
