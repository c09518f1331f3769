"""The rows of data sets of the library `datasets`: images, and columns of numbers or classes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hvae_core.data.condition_cells import MissingColumnError
from hvae_core.errors import DataError, did_you_mean

#: what a column of images is usually called
COLUMNS = ("image", "img")


def undecoded(rows: Any) -> Any:
    """The same rows with every image, sound and so on as it is stored, so that none can be damaged.

    Args:
        rows: a split as the library gives it: a table, or a stream of rows.
    """
    for name, feature in dict(rows.features or {}).items():
        if (stored := _stored(feature)) is not feature:
            rows = rows.cast_column(name, stored)
    return rows


def _stored(feature: Any) -> Any:
    """A column's type, without decoding."""
    if getattr(feature, "decode", None) is True:
        as_stored = copy.copy(feature)
        as_stored.decode = False
        return as_stored
    inner = getattr(feature, "feature", None)  # of a list
    if inner is None or (stored := _stored(inner)) is inner:
        return feature
    as_stored = copy.copy(feature)
    as_stored.feature = stored
    return as_stored


def columns_of(
    rows: Any, names: Sequence[str], place: str
) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
    """The cells of columns by name, and the names of the classes in the first, where it has them.

    Args:
        rows: a split as the library gives it: a table, or a stream of rows.
        names: the columns' names.
        place: names the split in messages.

    Raises:
        DataError: there is no such column.
    """
    rows = undecoded(rows)
    features = rows.features or dict.fromkeys(next(iter(rows), {}))
    for name in names:
        if name not in features:
            raise MissingColumnError(
                f"The {place} has no column {name!r}.", did_you_mean(name, features)
            )
    cells: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows.select_columns(list(names)):
        for name in names:
            cells[name].append(row[name])
    return cells, tuple(getattr(features[names[0]], "names", None) or ())


def image_column(
    row: Mapping[str, Any], features: Mapping[str, Any], wanted: str | None, place: str
) -> str:
    """The column of the images.

    Raises:
        DataError: it is not there, has no images, or cannot be told.
    """
    images = [
        name
        for name, cell in row.items()
        if type(features.get(name)).__name__ == "Image"
        or hasattr(cell, "getbands")
        or isinstance(cell, bytes)
        or (isinstance(cell, Mapping) and isinstance(cell.get("bytes"), bytes))
    ]
    if wanted is not None and wanted not in row:
        raise DataError(f"The {place} has no column {wanted!r}.", did_you_mean(wanted, row))
    if wanted is not None and wanted not in images:
        raise DataError(
            f"The column {wanted!r} of the {place} has no images.",
            f"Those that have are: {', '.join(images) or 'none'}.",
        )
    chosen = [wanted] if wanted else [name for name in COLUMNS if name in images] or images
    if wanted or chosen is not images or len(images) == 1:
        return str(chosen[0])
    raise DataError(
        f"The {place} has the columns {', '.join(row)}, of which "
        f"{', '.join(images) or 'none'} {'have' if len(images) > 1 else 'has'} images.",
        "Name the images' column with data.column.",
    )


def content(cell: Any, where: str) -> bytes | Path:
    """An encoded image: its bytes, or its file.

    Raises:
        DataError: the cell is empty.
    """
    data, path = (cell or {}).get("bytes"), (cell or {}).get("path")
    if isinstance(data, bytes):
        return data
    if not isinstance(path, str):
        raise DataError(f"{where} has no image.", "Name the images' column with data.column.")
    if "://" not in path:
        return Path(path)
    import fsspec

    with fsspec.open(path, "rb") as file:
        return bytes(file.read())
