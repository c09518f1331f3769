"""The contract of measurements: what is known of an image, and the image that an encoder sees."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hvae_core.errors import BadInputError


class Measured(NamedTuple):
    """What a measurement gives of an image.

    ``y`` [H, W, C] in the image's native values, its unknown pixels holding the measurement's fill;
    ``mask`` bool [H, W], set where a pixel was measured.
    """

    y: np.ndarray
    mask: np.ndarray


def check_measured(x: np.ndarray, rng: np.random.Generator, shape: Sequence[int]) -> None:
    """Refuse to measure what is no image of this shape [H, W, C], or without a generator.

    Raises:
        BadInputError: names the argument.
    """
    found = getattr(x, "shape", None)
    if found != tuple(shape):
        given = f"has shape {list(found)}" if found is not None else f"is a {type(x).__name__}"
        raise BadInputError(
            f"The image to measure {given}; expected an array {list(shape)} of native values.",
            "Measure one image at a time.",
        )
    if not isinstance(rng, np.random.Generator):
        raise BadInputError(
            f"rng is {rng!r}; expected a NumPy generator.", "Give numpy.random.default_rng(seed)."
        )


class Measurement(abc.ABC):
    """A(x), which keeps a part of what there is to know of an image.

    Builder: ``(options, image_shape: Shape3, values: ImageValues)``. It raises
    `hvae_core.errors.ConfigError` where images of this shape cannot be measured so.
    """

    #: whether measured pixels of y are those of the image, which a completion may put back
    exact: bool = True
    #: what unknown pixels of y hold, in native values; None: none are unknown
    fill: float | None = None

    @abc.abstractmethod
    def measure(self, x: np.ndarray, rng: np.random.Generator) -> Measured:
        """Measure an image.

        All randomness is ``rng``'s, and which pixels are measured does not depend on ``x``.

        Args:
            x: native values [H, W, C]; it is not changed.
            rng: of this image.

        Raises:
            BadInputError: see `check_measured`.
        """
