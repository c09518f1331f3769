"""How images are measured that a command completes, or the file that has measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.cli.common import refuse_given
from hvae_core.cli.images import DATASET_OPTIONS
from hvae_core.errors import BadInputError, DataError

if TYPE_CHECKING:
    import numpy as np


def chosen_measurement(model: Any, text: str | None) -> Any:
    """The measurement that ``--measurement`` names, or else the model's own.

    Raises:
        BadInputError: none is named, and the model was not trained on measurements.
        ConfigError: it is not valid, or the model's images cannot be measured so.
    """
    from hvae_core.config import create_component

    if text is None:
        if model.measurement is not None:
            return model.measurement
        raise BadInputError(
            "The model was not trained on measurements, and none is named.",
            "Name one, such as --measurement columns:0.25.",
        )
    component = create_component("measurement", text)
    return component.build(model.image_shape, model.image_values)


def read_measured(path: str) -> tuple[np.ndarray, np.ndarray]:
    """The measurements [B, H, W, C] and masks of a file; whether they fit the model is unknown.

    Raises:
        BadInputError: images, or how to measure them, are given to the command as well.
        DataError: the file cannot be read, or lacks one of the arrays.
    """
    from hvae_core.data.arrays import read_members

    refuse_given(
        "--images", "--count", *DATASET_OPTIONS, "--measurement",
        why="--measured has what is known of the images",
    )  # fmt: skip

    def choose(names: list[str]) -> list[str]:
        for name in ("measured", "mask"):
            if name not in names:
                raise DataError(
                    f"{path} has no array {name}; it has {', '.join(sorted(names)) or 'none'}.",
                    "Save both: numpy.savez(path, measured=y, mask=mask).",
                )
        return ["measured", "mask"]

    arrays = read_members(Path(path), choose)
    return arrays["measured"], arrays["mask"]
