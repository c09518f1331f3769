"""Images that are in two splits of a data set: what was trained on must not be tested on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from hvae_core.data.fingerprints import Fingerprint
from hvae_core.interfaces import Dataset

_SHOWN = 3


def shared_images(dataset: Dataset, prints: Mapping[str, Fingerprint]) -> list[str]:
    """A sentence for each two splits that share images, pixel for pixel.

    Args:
        dataset: names the images.
        prints: the fingerprints of its splits, by name; one without digests is passed over.
    """
    told = []
    for first, second in combinations(prints, 2):
        one, other = prints[first].digests, prints[second].digests
        if one is None or other is None:
            continue
        shared = np.flatnonzero(np.isin(other, one))
        if not len(shared):
            continue
        pairs = [
            f"{dataset.image_name(second, int(index))} is "
            f"{dataset.image_name(first, int(np.flatnonzero(one == other[index])[0]))}"
            for index in shared[:_SHOWN]
        ]
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        told.append(
            f"Warning: {len(shared):,} of {len(other):,} {second} images are {first} images too, "
            f"pixel for pixel: {', '.join(pairs)}{more}."
        )
    return told
