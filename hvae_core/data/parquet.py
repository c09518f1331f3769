"""Images in parquet files as the Hugging Face Hub lays them out.

A column holds ``{bytes, path}`` (or the bytes alone), each an encoded image; the files' names begin
with the split: ``train-00000-of-00003.parquet``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hvae_core.data.condition_cells import MissingColumnError, column_of_split
from hvae_core.data.file_search import find_files
from hvae_core.data.hub_rows import COLUMNS
from hvae_core.data.split_names import split_begun, split_folder
from hvae_core.errors import DataError, MissingDependencyError, did_you_mean
from hvae_core.interfaces import ConditionColumn

#: a shard's name: split, number, count, and the digest that the Hub added formerly
_SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)(-[0-9a-f]{16})?")


def find_splits(root: Path) -> dict[str, list[Path]]:
    """The parquet files of each split.

    Args:
        root: one parquet file (all of it is the split its name tells, else ``"train"``), or a
            folder that is searched to any depth. The split is read from the file's name
            (``test-...``) or else from its folder's (``test/0000.parquet``).

    Returns:
        Split name to files, sorted by name; empty where there are none.
    """
    if root.is_file():
        return {split_begun(root.stem) or "train": [root]} if root.suffix == ".parquet" else {}
    found: dict[str, list[Path]] = {}
    for path in list_files(root):
        # Folders above the root say nothing of the split, whatever their names.
        split = split_begun(path.stem) or split_folder(path.relative_to(root))[0]
        if split is None:
            continue
        found.setdefault(split, []).append(path)
    for files in found.values():
        _check_complete(files)
    return found


def list_files(root: Path) -> list[Path]:
    """The parquet files at any depth below ``root``, sorted; see `find_files`."""
    return find_files(root, (".parquet",))


def _check_complete(files: Sequence[Path]) -> None:
    """Shards say how many there are: a missing one must not pass for a smaller data set."""
    groups: dict[tuple[Path, str, int, str], set[int]] = {}
    for path in files:
        match = _SHARD.fullmatch(path.stem)
        if match:
            ending = "-*.parquet" if match[4] else ".parquet"
            key = (path.parent, match[1], int(match[3]), ending)
            groups.setdefault(key, set()).add(int(match[2]))
    for (folder, prefix, total, ending), numbers in groups.items():
        for number in range(total):
            if number not in numbers:
                name = f"{prefix}-{number:05d}-of-{total:05d}{ending}"
                raise DataError(
                    f"{folder / name} is missing, one of {total} files of its split.",
                    "Download it again, beside the others.",
                )


def count_rows(files: Sequence[Path]) -> int:
    """Number of rows of all ``files``, from their footers."""
    return sum(_open(path).metadata.num_rows for path in files)


def encoded_images(files: Sequence[Path], column: str | None = None) -> Iterator[tuple[str, bytes]]:
    """The encoded images of ``files`` in order.

    Args:
        files: parquet files of one split.
        column: the images' column; None takes the one named in `COLUMNS`.

    Yields:
        ``(where, bytes)``; ``where`` names file and row for messages.

    Raises:
        DataError: a file is damaged or has no such column.
    """
    import pyarrow

    for path in files:
        file = _open(path)
        name = _column(path, file.schema_arrow, column)
        row = 0
        try:
            for batch in file.iter_batches(batch_size=256, columns=[name]):
                for cell in batch.column(0).to_pylist():
                    where = f"Row {row} of {path}"
                    yield where, _bytes(cell, where, name)
                    row += 1
        except (pyarrow.ArrowException, OSError) as error:
            raise _damaged(path, error) from error


def condition_column(
    splits: Mapping[str, Sequence[Path]], split: str, name: str | tuple[str, ...]
) -> ConditionColumn:
    """What the files say of each image: a column of classes, or columns of numbers.

    Args:
        splits: the parquet files of each split.
        split: whose images.
        name: a column of whole numbers (classes, with their names where the Hub's metadata have
            them), of texts (the classes, see `column_of_split`) or of numbers; or several of those.

    Raises:
        DataError: there is no such column, it has empty cells where classes are expected, or holds
            something else.
    """
    names = [name] if isinstance(name, str) else list(name)
    where = str(splits[split][0].parent)
    return column_of_split(split, splits, name, lambda one: _cells(splits[one], names), where)


def _cells(
    files: Sequence[Path], names: Sequence[str]
) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
    """The cells of columns by name, and the names of the classes in the first, where known."""
    import pyarrow

    tables: list[Any] = []
    classes: tuple[str, ...] = ()
    for path in files:
        file = _open(path)
        for wanted in names:
            _column(path, file.schema_arrow, wanted)
        classes = classes or _class_names(file.schema_arrow, names[0])
        try:
            tables.append(file.read(columns=list(names)))
        except (pyarrow.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
    cells = {n: [c for table in tables for c in table.column(n).to_pylist()] for n in names}
    return cells, classes


def _class_names(schema: Any, column: str) -> tuple[str, ...]:
    """The names of the classes in a column, where the Hub's metadata say them."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(map(str, told["info"]["features"][column]["names"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()


def _open(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            "pyarrow", "datasets", "Reading parquet files"
        ) from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(
        f"{path} is no parquet file, or it is truncated or damaged ({reason.rstrip('.')}).",
        "Download it again.",
    )


def _column(path: Path, schema: Any, wanted: str | None) -> str:
    names = list(schema.names)
    if wanted is not None:
        if wanted in names:
            return wanted
        raise MissingColumnError(f"{path} has no column {wanted!r}.", did_you_mean(wanted, names))
    for name in COLUMNS:
        if name in names:
            return name
    raise DataError(
        f"{path} has no column 'image' or 'img'; its columns are {', '.join(names)}.",
        "Name the images' column with data.column.",
    )


def _bytes(cell: Any, where: str, column: str) -> bytes:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        raise DataError(
            f"{where} has no encoded image in column {column!r}.",
            "Name the images' column with data.column; their bytes must be in the file.",
        )
    return data
